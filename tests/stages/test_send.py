from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.errors import HandshakeRefused, LinkLost, MessageTooLarge, ProtocolError
from pipeline.items import ClassScore, Moment, Packet, Plan, Pruning, Ran, Status
from scheduling.situation import Situation
from stages.send import KeepHere, Send
from tests.pipeline.clips import make_clip, make_ok
from tests.stages.frames import channel_of
from tests.transport.world import WELCOME, EchoCloud, connected, packet
from transport.events import Answered, LinkDown, LinkUp
from transport.messages import Result

PLAN = Plan(
    Pruning("none", 0.0, (0, 0, 0)),
    4,
    "int8",
    expected_ms={"head": 80.0, "uplink": 60.0, "tail": 25.0, "downlink": 10.0, "total": 175.0},
    expected_bytes=26.0,
    moment=Moment(rtt_ms=20.0),
)


def to_send(seq=0, split=4, plan=PLAN):
    return replace(
        packet(seq, b"walking", split=split),
        clip=make_clip(seq, "street"),
        plan=plan,
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


class Rescaled:
    """A policy that notes what it is told of its codecs."""

    def __init__(self):
        self.factors = []

    def rescale(self, codec, factor):
        self.factors.append((codec, factor))


def sender(client, situation=None, policy=None, clock=None):
    return Send(client, situation or Situation(), policy or Rescaled(), clock or ManualClock())


async def sent(client, *items, **parts):
    return [record async for record in sender(client, **parts).run(await channel_of(*items))]


async def answered(*events, situation=None):
    send = sender(FakeClient(told=events), situation)
    return [record async for record in send.answers()]


def uploaded(seconds, situation=None):
    """A situation that saw clip n upload in `seconds[n]`, one after the other."""
    situation, now = situation or Situation(), 0.0
    for seq, each in enumerate(seconds):
        situation.sent(f"street/{seq:06d}", 2000, now)
        now += each
        situation.acknowledged(f"street/{seq:06d}", now)
    return situation


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
        answer(2, classes=(("walking", 7, 0.9), ("running", 2, 0.1)), durations_ms={"tail": 50.0}),
        situation=uploaded([0.25, 0.25, 0.5]),
    )
    assert (record.clip_id, record.seq, record.status, record.reason) == ("street/000002", 2, Status.OK, None)
    assert record.start_s == to_send(2).clip.start_s
    assert record.classes == (ClassScore("walking", 7, 0.9), ClassScore("running", 2, 0.1))
    assert record.plan is PLAN
    # The upload ran until its acknowledgement was back, half a round trip after the last byte was in.
    assert record.latency_ms == {"head": 80.0, "uplink": 490.0, "tail": 50.0}
    assert record.sent_bytes == len(b"walking") + 6


async def test_what_a_cloud_calls_its_own_durations_never_passes_for_a_part_that_the_device_measures():
    own = {"queue": 5.0, "decode": 6.0, "tail": 7.0}
    invented = {"head": 1.0, "uplink": 2.0, "total": 3.0, "nap": 4.0} | own
    (record,) = await answered(answer(durations_ms=invented), situation=uploaded([0.5]))
    assert record.latency_ms == {"head": 80.0, "uplink": 490.0} | own


async def test_the_cloud_ran_all_of_a_clip_that_was_cut_at_0():
    records = await answered(answer(0, split=0), answer(1, split=4))
    assert [record.ran for record in records] == [Ran.CLOUD, Ran.SPLIT]


async def test_an_error_of_the_cloud_is_a_failed_record_that_says_so():
    (record,) = await answered(answer(error="the payload is empty"))
    assert (record.status, record.reason) == (Status.FAILED, "cloud: the payload is empty")


async def test_each_upload_counts_for_its_own_clip_and_once():
    answers = [LinkDown("cut", "cloud"), *(answer(seq) for seq in (2, 0, 1, 0))]
    records = await answered(*answers, situation=uploaded([1.0, 2.0, 3.0]))
    assert [record.latency_ms["uplink"] for record in records] == [2990.0, 990.0, 1990.0, 0.0]


async def test_an_answer_without_an_acknowledgement_has_an_upload_of_nothing():
    (record,) = await answered(answer())
    assert record.latency_ms["uplink"] == 0.0


async def test_a_plan_that_expects_nothing_is_sent_and_recorded_all_the_same():
    bare = Plan(Pruning("none", 0.0, (0, 0, 0)), 4, "int8")
    situation = uploaded([0.5])
    client = FakeClient(told=[Answered(to_send(plan=bare), Result(clip_id="street/000000"))])
    send = sender(client, situation)
    assert [item async for item in send.run(await channel_of(to_send(plan=bare)))] == []
    (record,) = [record async for record in send.answers()]
    assert record.latency_ms["uplink"] == 500.0
    assert situation.device.factor == situation.cloud.factor == 1.0


async def test_the_situation_follows_a_clip_from_its_plan_over_the_device_to_its_answer():
    situation, clock = Situation(), ManualClock()
    waits = lambda: situation.backlog.waits(clock.now())  # noqa: E731
    situation.planned("street/000000", PLAN, 0.0)
    assert (waits().device_ms, waits().link_ms) == (80.0, 130.0)
    await sent(FakeClient(), to_send(), situation=situation, clock=clock)
    assert (waits().device_ms, waits().link_ms) == (0.0, 50.0)
    await answered(answer(durations_ms={"queue": 10.0, "tail": 25.0}), situation=situation)
    assert (waits().device_ms, waits().link_ms) == (0.0, 0.0)
    assert waits().cloud_ms > 0


@pytest.mark.parametrize("refused", [False, True])
async def test_a_clip_that_ends_on_the_device_keeps_nobody_waiting(refused):
    situation = Situation()
    situation.planned("street/000000", PLAN, 0.0)
    item = to_send() if refused else replace(make_ok(make_clip(0, "street")), plan=PLAN)
    client = FakeClient(refused={0: ProtocolError("too odd")})
    (record,) = await sent(client, item, situation=situation)
    assert (record.status is Status.FAILED) == refused
    assert situation.backlog.waits(0.0).link_ms == 0.0
    assert situation.backlog.waits(0.0).device_ms == 0.0


async def test_times_of_both_machines_are_learnt_from():
    situation = Situation()
    slow = [replace(to_send(seq), latency_ms={"head": 160.0}) for seq in range(40)]
    await sent(FakeClient(), *slow, situation=situation)
    await answered(*(answer(seq, durations_ms={"tail": 75.0}) for seq in range(40)), situation=situation)
    assert situation.device.factor == pytest.approx(2.0, rel=0.05)
    assert situation.cloud.factor == pytest.approx(3.0, rel=0.05)


async def test_the_policy_is_told_how_far_a_codec_is_off_its_profile():
    policy = Rescaled()
    await sent(FakeClient(), *map(to_send, range(40)), policy=policy)
    assert {codec for codec, _ in policy.factors} == {"int8"}
    assert policy.factors[0][1] == 1.0
    assert policy.factors[-1][1] == pytest.approx(0.5, rel=0.05)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 9), cuts=st.lists(st.integers(0, 12), max_size=3))
async def test_over_a_real_session_each_packet_has_one_record_and_both_ends_end(count, cuts):
    records = []

    async def collect(outcomes):
        records.extend([record async for record in outcomes])

    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=list(cuts))
        async with connected(cloud, connect_s=1000, patience_s=1000) as client:
            send = sender(client)
            items = await channel_of(*map(to_send, range(count)))
            with anyio.fail_after(10):
                async with anyio.create_task_group() as both:
                    both.start_soon(collect, send.run(items))
                    both.start_soon(collect, send.answers())
    assert [record.seq for record in records] == list(range(count))
    assert all(record.classes[0].name == "walking" for record in records)


async def test_without_a_cloud_every_record_passes_by_and_is_learnt_from():
    situation = Situation()
    records = [
        replace(make_ok(make_clip(seq)), plan=PLAN, latency_ms={"head": 160.0}) for seq in range(40)
    ] + [make_ok(make_clip(40))]
    for record in records:
        situation.planned(record.clip_id, PLAN, 0.0)
    passed = [record async for record in KeepHere(situation, ManualClock()).run(await channel_of(*records))]
    assert passed == records
    assert situation.device.factor == pytest.approx(2.0, rel=0.05)
    assert situation.backlog.waits(0.0).device_ms == 0.0


class FakeRescue:
    """Keeps the clips in `kept`; those in `finished` were finished before their turn."""

    def __init__(self, kept=(), finished=()):
        self.kept, self.finished = set(kept), set(finished)
        self.heard = []

    def holds(self, clip_id):
        return clip_id in self.kept

    def sending(self, clip_id):
        return None if clip_id in self.finished else anyio.CancelScope()

    def __getattr__(self, name):
        return lambda *arguments: self.heard.append((name, *arguments))


async def sent_live(client, rescue, *items, connected=True):
    client.connected = connected
    send = Send(client, Situation(), Rescaled(), ManualClock(), rescue=rescue)
    return [record async for record in send.run(await channel_of(*items))]


ID = to_send().header.clip_id


async def test_a_clip_is_handed_in_where_there_is_a_link_and_finished_here_where_there_is_none():
    client, rescue = FakeClient(), FakeRescue(kept=[ID])
    assert await sent_live(client, rescue, to_send()) == []
    assert (client.asked, rescue.heard) == ([0, "drain"], [("sent", ID), ("close",)])
    client, rescue = FakeClient(), FakeRescue(kept=[ID])
    assert await sent_live(client, rescue, to_send(), connected=False) == []
    assert (client.asked, rescue.heard) == (["drain"], [("lost", ID), ("close",)])


async def test_a_clip_that_was_finished_before_its_turn_is_not_handed_in():
    client, rescue = FakeClient(), FakeRescue(finished=[ID])
    assert await sent_live(client, rescue, to_send()) == []
    assert client.asked == ["drain"]


@pytest.mark.parametrize("error", [LinkLost("gone"), MessageTooLarge("clip", 9, 5)])
async def test_a_clip_that_the_cloud_will_not_take_is_finished_here_or_fails_alone(error):
    client, rescue = FakeClient({0: error}), FakeRescue(kept=[ID])
    assert await sent_live(client, rescue, to_send(0), to_send(1)) == []
    assert rescue.heard[0] == ("lost", ID)
    assert client.asked == [0, 1, "drain"]
    client, rescue = FakeClient({0: error}), FakeRescue()
    records = await sent_live(client, rescue, to_send(0), to_send(1))
    assert [(record.seq, record.status, record.reason) for record in records] == [
        (0, Status.FAILED, str(error))
    ]


async def test_a_cloud_that_refuses_this_device_ends_it_even_live():
    with pytest.raises(HandshakeRefused):
        await sent_live(FakeClient({0: HandshakeRefused("other weights")}), FakeRescue(kept=[ID]), to_send())


async def test_rescue_hears_of_a_lost_link_and_the_policy_of_each_cloud():
    rescue, welcomed = FakeRescue(), []

    async def on_welcome(welcome):
        welcomed.append(welcome)

    told = [LinkUp("cloud", WELCOME, 0.01), LinkDown("cut", "cloud"), LinkUp("cloud", WELCOME, 0.01)]
    client = FakeClient(told=told)
    send = Send(client, Situation(), Rescaled(), ManualClock(), rescue=rescue, on_welcome=on_welcome)
    assert [record async for record in send.answers()] == []
    assert rescue.heard == [("lost",)]
    assert welcomed == [WELCOME, WELCOME]
