from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import HandshakeRefused, LinkLost, MessageTooLarge, ProtocolError
from pipeline.items import ClassScore, Packet, Plan, Pruning, Ran, Status
from scheduling.bandwidth import HarmonicMean
from stages.send import Send, nothing_to_send
from tests.pipeline.clips import make_clip, make_ok
from tests.stages.frames import channel_of
from tests.transport.world import WELCOME, EchoCloud, connected, packet
from transport.events import Acked, Answered, LinkDown, LinkUp
from transport.messages import Result

PLAN = Plan(Pruning("none", 0.0, (0, 0, 0)), 4, "int8")


def to_send(seq=0, split=4):
    return replace(
        packet(seq, b"walking", split=split),
        clip=make_clip(seq, "street"),
        plan=PLAN,
        sizes=b"\1\0" * 3,
        latency_ms={"head": 80.0},
    )


class FakeClient:
    """Notes what it is asked for; refuses the clips in `refused` and tells of `told`."""

    def __init__(self, refused=None, told=()):
        self.asked = []
        self._refused = refused or {}
        self._told = told

    async def submit(self, item):
        self.asked.append(item.header.seq)
        if error := self._refused.get(item.header.seq):
            raise error

    async def drain(self):
        self.asked.append("drain")

    async def events(self):
        for event in self._told:
            yield event


async def sent(client, *items):
    return [record async for record in Send(client, HarmonicMean()).run(await channel_of(*items))]


async def answered(*events, bandwidth=None):
    send = Send(FakeClient(told=events), bandwidth or HarmonicMean())
    return [record async for record in send.answers()]


def answer(seq=0, split=4, **result):
    return Answered(to_send(seq, split), Result(clip_id=f"street/{seq:06d}", **result))


@given(kinds=st.lists(st.booleans(), max_size=12))
async def test_records_pass_by_packets_are_handed_in_and_at_the_end_all_is_waited_for(kinds):
    items = [to_send(i) if is_packet else make_ok(make_clip(i)) for i, is_packet in enumerate(kinds)]
    client = FakeClient()
    records = await sent(client, *items)
    assert records == [item for item in items if not isinstance(item, Packet)]
    assert client.asked == [*(i for i, is_packet in enumerate(kinds) if is_packet), "drain"]


async def test_a_packet_that_no_message_can_carry_fails_alone():
    client = FakeClient(refused={1: ProtocolError("clip message: source: too long")})
    (record,) = await sent(client, *map(to_send, range(3)))
    assert (record.clip_id, record.status) == ("street/000001", Status.FAILED)
    assert record.reason == "clip message: source: too long"
    assert client.asked == [0, 1, 2, "drain"]


@pytest.mark.parametrize(
    "error", [MessageTooLarge("clip", 9, 8), LinkLost("gone"), HandshakeRefused("other weights")]
)
async def test_what_no_later_clip_can_mend_ends_the_run(error):
    client = FakeClient(refused={1: error})
    with pytest.raises(type(error)):
        await sent(client, *map(to_send, range(3)))
    assert client.asked == [0, 1]


async def test_an_answer_becomes_the_clips_record():
    (record,) = await answered(
        LinkUp("cloud", WELCOME, rtt_s=0.033),
        Acked("street/000002", num_bytes=250_000, seconds=0.5),
        answer(2, classes=(("walking", 7, 0.9), ("running", 2, 0.1)), durations_ms={"tail": 50.0}),
        bandwidth=HarmonicMean(prior_mbps=99.0),
    )
    assert (record.clip_id, record.seq, record.status, record.reason) == ("street/000002", 2, Status.OK, None)
    assert record.start_s == to_send(2).clip.start_s
    assert record.classes == (ClassScore("walking", 7, 0.9), ClassScore("running", 2, 0.1))
    assert record.plan is PLAN
    assert record.latency_ms == {"head": 80.0, "uplink": 500.0, "tail": 50.0}
    assert record.link_mbps == pytest.approx(4.0)
    assert record.link_rtt_ms == pytest.approx(33.0)
    assert record.sent_bytes == len(b"walking") + 6


async def test_the_cloud_ran_all_of_a_clip_that_was_cut_at_0():
    records = await answered(answer(0, split=0), answer(1, split=4))
    assert [record.ran for record in records] == [Ran.CLOUD, Ran.SPLIT]


async def test_an_error_of_the_cloud_is_a_failed_record_that_says_so():
    (record,) = await answered(answer(error="the payload is empty"))
    assert (record.status, record.reason) == (Status.FAILED, "cloud: the payload is empty")


async def test_each_upload_counts_for_its_own_clip():
    acks = [Acked(f"street/{seq:06d}", 1000, seconds=seq + 1) for seq in range(3)]
    records = await answered(*acks, LinkDown("cut"), *(answer(seq) for seq in (2, 0, 1)))
    assert [record.latency_ms["uplink"] for record in records] == [3000.0, 1000.0, 2000.0]


async def test_an_answer_without_an_acknowledgement_has_an_upload_of_nothing():
    (record,) = await answered(answer())
    assert record.latency_ms["uplink"] == 0.0
    assert record.link_rtt_ms is None


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 9), cuts=st.lists(st.integers(0, 12), max_size=3))
async def test_over_a_real_session_each_packet_has_one_record_and_both_ends_end(count, cuts):
    records = []

    async def collect(outcomes):
        records.extend([record async for record in outcomes])

    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=list(cuts))
        async with connected(cloud, connect_s=1000, patience_s=1000) as client:
            send = Send(client, HarmonicMean())
            items = await channel_of(*map(to_send, range(count)))
            with anyio.fail_after(10):
                async with anyio.create_task_group() as both:
                    both.start_soon(collect, send.run(items))
                    both.start_soon(collect, send.answers())
    assert [record.seq for record in records] == list(range(count))
    assert all(record.classes[0].name == "walking" for record in records)


async def test_without_a_cloud_every_record_passes_by():
    records = [make_ok(make_clip(seq)) for seq in range(3)]
    assert [record async for record in nothing_to_send(await channel_of(*records))] == records
