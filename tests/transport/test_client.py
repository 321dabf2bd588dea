"""The device's end: every clip is answered exactly once, whatever the link does."""

import math
from contextlib import suppress

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import HandshakeRefused, JanusError, LinkError, LinkLost, MessageTooLarge, ProtocolError
from tests.settled import settled
from tests.transport.world import (
    HELLO,
    WELCOME,
    EchoCloud,
    TurnedClock,
    accept_all,
    acks,
    answers,
    connected,
    packet,
)
from transport.client import CloudClient
from transport.connection import Connection
from transport.events import Acked, Answered, Event, LinkDown, LinkUp
from transport.memory import MemoryConnection, memory_link
from transport.messages import (
    PROTOCOL,
    REPLY_LIMIT_BYTES,
    Ack,
    Bye,
    ClipMessage,
    ErrorMessage,
    Message,
    Probe,
    Result,
    Welcome,
    decode,
    encode,
)
from transport.server import open_session


async def test_a_clip_is_acknowledged_then_answered_with_its_own_packet() -> None:
    async with anyio.create_task_group() as group, connected(EchoCloud(group)) as client:
        sent = packet(1, b"walking")
        await client.submit(sent)
        events = client.events()
        kinds = [type(await anext(events)) for _ in range(2)]
        answer = await anext(events)
        assert kinds == [LinkUp, Acked]
        assert isinstance(answer, Answered) and answer.packet is sent
        assert answer.result.classes == (("walking", 0, 1.0),)
        assert client.in_flight == 0


async def test_many_clips_go_through_a_narrow_window_in_order() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud) as client:
            got: list[Answered] = []

            async def read() -> None:
                got.extend(await answers(client, 50))

            async with anyio.create_task_group() as reading:
                reading.start_soon(read)
                for number in range(50):
                    await client.submit(packet(number))
                    assert client.in_flight <= WELCOME.max_in_flight
        assert [answer.packet.header.seq for answer in got] == list(range(50))
        assert cloud.seen == [packet(number).header.clip_id for number in range(50)]


async def submit_all(client: object, count: int) -> None:
    for number in range(count):
        await client.submit(packet(number, b"class%d" % number))  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 25), max_size=6))
async def test_every_clip_is_answered_exactly_once_wherever_the_link_is_cut(cuts: list[int]) -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=list(cuts))
        patient = {"connect_s": 1000, "patience_s": 1000}
        async with connected(cloud, **patient) as client, anyio.create_task_group() as sending:
            sending.start_soon(submit_all, client, 8)
            got = await answers(client, 8)
        assert sorted(answer.packet.header.seq for answer in got) == list(range(8))
        for answer in got:
            assert answer.result.classes[0][0] == f"class{answer.packet.header.seq}"
        assert list(dict.fromkeys(cloud.seen)) == [packet(number).header.clip_id for number in range(8)]


async def test_a_lost_link_is_told_and_mended() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud) as client:
            events = client.events()
            assert isinstance(await anext(events), LinkUp)
            cloud.links[0].cut()
            down = await anext(events)
            assert isinstance(down, LinkDown) and "cut" in down.reason
            assert isinstance(await anext(events), LinkUp)
            assert client.connected and len(cloud.links) == 2


async def test_patience_runs_out() -> None:
    clock = TurnedClock()
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud, clock=clock, patience_s=30) as client:
            cloud.up = False
            cloud.links[0].cut()
            with pytest.raises(LinkLost, match="nobody listens; gave up after 30 s"):
                _ = [event async for event in client.events()]
            with pytest.raises(LinkLost):
                await client.submit(packet())
    assert 20 < clock.now() <= 30
    assert max(clock.slept) <= 2 and len(set(clock.slept)) == len(clock.slept)


async def test_a_cloud_that_takes_clips_and_falls_silent_is_a_lost_link() -> None:
    clock = TurnedClock()

    class MuteCloud(EchoCloud):
        async def serve(self, connection: Connection) -> None:
            async with open_session(connection, self.welcome, accept_all) as session:
                _ = [clock.turn(10.0) async for _ in session.packets()]

    async with anyio.create_task_group() as group:
        cloud = MuteCloud(group)
        async with connected(cloud, clock=clock, patience_s=0, answer_s=0.01) as client:
            await client.submit(packet())
            with pytest.raises(LinkLost, match="took 1 clips and fell silent; gave up after 0 s"):
                _ = [event async for event in client.events()]


async def probe_for_ever(client: CloudClient) -> None:
    with suppress(LinkLost):
        while True:
            await client.probe()
            await anyio.sleep(0.001)


async def test_a_cloud_that_only_answers_probes_is_a_lost_link() -> None:
    clock = TurnedClock()

    class MuteCloud(EchoCloud):
        async def serve(self, connection: Connection) -> None:
            async with open_session(connection, self.welcome, accept_all) as session:
                _ = [clock.turn(10.0) async for _ in session.packets()]

    async with anyio.create_task_group() as group:
        cloud = MuteCloud(group)
        async with connected(cloud, clock=clock, patience_s=0, answer_s=5.0) as client:
            await client.submit(packet())
            group.start_soon(probe_for_ever, client)
            with pytest.raises(LinkLost, match="took 1 clips and fell silent; gave up after 0 s"):
                _ = [event async for event in client.events()]


async def test_an_idle_link_is_not_a_silent_one() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud, answer_s=0.001) as client:
            await anyio.sleep(0.02)
            await client.submit(packet())
            with anyio.fail_after(5):
                events = await drained(client)
    assert sum(isinstance(event, Answered) for event in events) == 1
    assert len(cloud.links) == 1


async def test_submit_that_waits_hears_of_the_end() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, welcome=WELCOME.model_copy(update={"max_in_flight": 1}))
        async with connected(cloud) as client:
            cloud.up = False
            cloud.links[0].cut()
            with pytest.raises(LinkLost):
                await submit_all(client, 3)


async def test_the_first_connection_fails_fast() -> None:
    clock = TurnedClock()
    async with anyio.create_task_group() as group:
        with pytest.raises(LinkLost, match="gave up after 5 s"):
            async with connected(EchoCloud(group, up=False), clock=clock):
                pass
    assert 2 < clock.now() <= 5 and len(clock.slept) >= 3


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"digest": "ffff"}, "weights of vit differ: ffff on the cloud, 1f2e on the device"),
        ({"model": "vit_large"}, "the cloud runs vit_large, the device vit"),
        ({"protocol": PROTOCOL + 1}, "install the same version"),
        ({"codecs": ("png",)}, "no codec in common"),
    ],
)
async def test_another_cloud_is_refused_at_once(changed: dict[str, object], line: str) -> None:
    clock = TurnedClock()
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, welcome=WELCOME.model_copy(update=changed))
        with pytest.raises(HandshakeRefused, match=line):
            async with connected(cloud, clock=clock):
                pass
    assert clock.slept == []


async def test_a_cloud_that_comes_back_with_other_weights_ends_it() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud) as client:
            cloud.welcome = WELCOME.model_copy(update={"digest": "ffff"})
            cloud.links[0].cut()
            with pytest.raises(HandshakeRefused, match="ffff"):
                _ = [event async for event in client.events()]
    assert len(cloud.links) == 2


async def test_a_message_over_the_limit_is_refused_and_nothing_is_sent() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        async with connected(cloud) as client:
            with pytest.raises(MessageTooLarge, match=r"street/000000.* over the agreed limit of 4096"):
                await client.submit(packet(0, bytes(5000)))
            await client.submit(packet(1))
            (answer,) = await answers(client, 1)
    assert answer.packet.header.seq == 1 and cloud.seen == ["street/000001"]


async def test_a_clip_that_no_message_can_carry_is_refused_alone() -> None:
    async with anyio.create_task_group() as group, connected(EchoCloud(group)) as client:
        with pytest.raises(ProtocolError, match="seq"):
            await client.submit(packet(0, seq=-1))
        with pytest.raises(ProtocolError, match="source"):
            await client.submit(packet(0, source="\udcff.mp4"))
        assert client.in_flight == 0


async def test_a_clip_is_not_taken_twice() -> None:
    async with anyio.create_task_group() as group, connected(EchoCloud(group)) as client:
        await client.submit(packet(1))
        with pytest.raises(ProtocolError, match="street/000001: is under way"):
            await client.submit(packet(1))


class Scripted:
    """A cloud that the test plays by hand, one end of a memory link for each dial."""

    def __init__(self, welcome: Welcome = WELCOME) -> None:
        self._welcome = welcome
        self._ends: list[MemoryConnection] = []
        self._dialled = anyio.Event()

    async def dial(self) -> Connection:
        near, far = memory_link()
        self._ends.append(far)
        self._dialled.set()
        return near

    async def welcome(self) -> MemoryConnection:
        await self._dialled.wait()
        self._dialled = anyio.Event()
        end = self._ends[-1]
        assert decode(await end.receive(), 1000) == HELLO
        await end.send(encode(self._welcome))
        probe = decode(await end.receive(), 1000)
        assert isinstance(probe, Probe)
        await end.send(encode(Probe(nonce=probe.nonce, reply=True)))
        return end


async def run_scripted(play: object, cloud: Scripted, **options: object) -> None:
    async with anyio.create_task_group() as group:
        ends: list[MemoryConnection] = []

        async def welcome() -> None:
            ends.append(await cloud.welcome())

        group.start_soon(welcome)
        async with connected(cloud, **options) as client:  # type: ignore[arg-type]
            await play(client, ends[0])  # type: ignore[operator]
        group.cancel_scope.cancel()


async def received(end: MemoryConnection) -> Message:
    return decode(await end.receive(), REPLY_LIMIT_BYTES)


async def test_uploads_are_timed_from_the_previous_acknowledgement() -> None:
    clock = TurnedClock()

    async def play(client: object, end: MemoryConnection) -> None:
        for number in range(2):
            await client.submit(packet(number))  # type: ignore[attr-defined]
        messages = [await end.receive() for _ in range(2)]
        for number, seconds in enumerate((3.0, 0.5)):
            await clock.sleep(seconds)
            await end.send(encode(Ack(clip_id=packet(number).header.clip_id, num_bytes=1)))
            (ack,) = await acks(client, 1)  # type: ignore[arg-type]
            assert ack.seconds == pytest.approx(seconds)
            assert ack.num_bytes == len(messages[number])

    await run_scripted(play, Scripted(), clock=clock)


async def test_a_second_result_for_a_clip_is_ignored() -> None:
    async def play(client: object, end: MemoryConnection) -> None:
        for number in range(2):
            await client.submit(packet(number))  # type: ignore[attr-defined]
            await received(end)
        for clip_id in ("street/000000", "street/000000", "who/knows", "street/000001"):
            await end.send(encode(Result(clip_id=clip_id)))
        got = await answers(client, 2)  # type: ignore[arg-type]
        assert [answer.packet.header.seq for answer in got] == [0, 1]

    await run_scripted(play, Scripted())


async def test_a_refused_clip_is_an_answer_that_says_why() -> None:
    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0))  # type: ignore[attr-defined]
        clip = await received(end)
        assert isinstance(clip, ClipMessage)
        await end.send(encode(ErrorMessage(code="codec", message="no such codec", clip_id=clip.clip_id)))
        (answer,) = await answers(client, 1)  # type: ignore[arg-type]
        assert answer.result.error == "no such codec"

    await run_scripted(play, Scripted())


BROKEN = [
    (encode(ErrorMessage(code="bad-message", message="what was that")), ProtocolError),
    (encode(ErrorMessage(code="digest", message="other weights")), HandshakeRefused),
    (encode(HELLO), ProtocolError),
    (b"\xc1garbage", ProtocolError),
    (bytes(REPLY_LIMIT_BYTES + 1), MessageTooLarge),
]


@pytest.mark.parametrize(("data", "error"), BROKEN)
async def test_a_cloud_that_breaks_the_rules_ends_it_without_a_retry(data: bytes, error: type) -> None:
    clock = TurnedClock()

    async def play(client: object, end: MemoryConnection) -> None:
        await end.send(data)
        with pytest.raises(error):
            _ = [event async for event in client.events()]  # type: ignore[attr-defined]

    await run_scripted(play, Scripted(), clock=clock)
    assert clock.slept == []


@pytest.mark.parametrize("data", [data for data, _ in BROKEN])
async def test_where_patience_is_endless_broken_rules_are_a_lost_link_and_the_clip_goes_out_again(
    data: bytes,
) -> None:
    cloud = Scripted()

    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0))  # type: ignore[attr-defined]
        await end.receive()
        await end.send(data)
        again = await cloud.welcome()
        assert decode(await again.receive(), 4096).clip_id == packet(0).header.clip_id  # type: ignore[union-attr]
        await again.send(encode(Result(clip_id=packet(0).header.clip_id)))
        (answer,) = await answers(client, 1)  # type: ignore[arg-type]
        assert answer.packet.header.clip_id == packet(0).header.clip_id

    await run_scripted(play, cloud, patience_s=math.inf, clock=TurnedClock())


async def test_after_a_goodbye_nothing_new_is_sent_and_what_is_under_way_is_still_answered() -> None:
    cloud = Scripted()

    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0))  # type: ignore[attr-defined]
        await end.receive()
        await end.send(encode(Bye(reason="restarting")))
        await settled()
        assert not client.connected  # type: ignore[attr-defined]
        await client.submit(packet(1))  # type: ignore[attr-defined]
        await end.send(encode(Result(clip_id=packet(0).header.clip_id)))
        with pytest.raises(LinkLost):
            await end.receive()
        again = await cloud.welcome()
        assert decode(await again.receive(), 4096).clip_id == packet(1).header.clip_id  # type: ignore[union-attr]

    await run_scripted(play, cloud)


@pytest.mark.parametrize("cut", [True, False])
async def test_a_goodbye_without_an_answer_is_a_lost_link(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.client.GOODBYE_S", 0.0)
    cloud = Scripted()

    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0))  # type: ignore[attr-defined]
        first = await end.receive()
        await end.send(encode(Bye(reason="restarting")))
        if cut:
            end.cut()
        again = await cloud.welcome()
        assert await again.receive() == first

    await run_scripted(play, cloud)


async def test_clips_over_a_smaller_limit_of_a_new_link_are_answered_as_failed() -> None:
    cloud = Scripted()

    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0, bytes(3000)))  # type: ignore[attr-defined]
        await received(end)
        cloud._welcome = WELCOME.model_copy(update={"max_message_bytes": 2000})
        end.cut()
        await cloud.welcome()
        (answer,) = await answers(client, 1)  # type: ignore[arg-type]
        assert "over the agreed limit of 2000" in str(answer.result.error)

    await run_scripted(play, cloud)


async def test_a_probe_measures_the_round_trip() -> None:
    clock = TurnedClock()

    async def play(client: object, end: MemoryConnection) -> None:
        async def reply() -> None:
            probe = await received(end)
            assert isinstance(probe, Probe) and len(probe.payload) == 100
            await clock.sleep(0.25)
            await end.send(encode(Probe(nonce=probe.nonce, reply=True)))

        async with anyio.create_task_group() as group:
            group.start_soon(reply)
            assert await client.probe(100) == pytest.approx(0.25)  # type: ignore[attr-defined]

    await run_scripted(play, Scripted(), clock=clock)


async def test_a_probe_is_no_longer_than_what_the_cloud_takes() -> None:
    async def play(client: object, end: MemoryConnection) -> None:
        async def reply() -> None:
            data = await end.receive()
            assert 1024 - 64 < len(data) <= 1024
            probe = decode(data, 1024)
            assert isinstance(probe, Probe)
            await end.send(encode(Probe(nonce=probe.nonce, reply=True)))

        async with anyio.create_task_group() as group:
            group.start_soon(reply)
            await client.probe(4096)  # type: ignore[attr-defined]

    await run_scripted(play, Scripted(WELCOME.model_copy(update={"max_message_bytes": 1024})))


async def test_a_probe_on_a_lost_link_says_so() -> None:
    async def play(client: object, end: MemoryConnection) -> None:
        async def cut() -> None:
            await received(end)
            end.cut()

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(cut)
                await client.probe()  # type: ignore[attr-defined]
        assert caught.group_contains(LinkLost)

    await run_scripted(play, Scripted())


async def test_leaving_says_bye() -> None:
    cloud = Scripted()
    async with anyio.create_task_group() as group:
        ends: list[MemoryConnection] = []

        async def welcome() -> None:
            ends.append(await cloud.welcome())

        group.start_soon(welcome)
        async with connected(cloud):  # type: ignore[arg-type]
            pass
    assert isinstance(await received(ends[0]), Bye)
    with pytest.raises(LinkLost):
        await ends[0].receive()


async def test_an_error_of_the_body_comes_out_as_itself() -> None:
    async with anyio.create_task_group() as group:
        with pytest.raises(KeyError):
            async with connected(EchoCloud(group)):
                raise KeyError


async def test_a_flapping_link_does_not_keep_it_for_ever() -> None:
    clock = TurnedClock()
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=[4] * 500)
        with pytest.raises(LinkError, match="gave up"):
            async with connected(cloud, clock=clock, patience_s=30) as client:
                await client.submit(packet(0))
                await answers(client, 1)
    assert clock.now() <= 30 and len(cloud.links) < 50


async def drained(client: object) -> list[Event]:
    """All that happens until the last answer; `events` ends by itself."""
    await client.drain()  # type: ignore[attr-defined]
    return [event async for event in client.events()]  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 10), cuts=st.lists(st.integers(0, 20), max_size=5))
async def test_draining_ends_the_events_after_the_last_answer_and_loses_none(
    count: int, cuts: list[int]
) -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=list(cuts))
        async with connected(cloud, connect_s=1000, patience_s=1000) as client:
            with anyio.fail_after(10):
                await submit_all(client, count)
                events = await drained(client)
            got = [event.packet.header.seq for event in events if isinstance(event, Answered)]
            assert sorted(got) == list(range(count))
            assert client.in_flight == 0


async def test_draining_waits_for_answers_that_are_slow_to_come() -> None:
    async def play(client: object, end: MemoryConnection) -> None:
        for number in range(3):
            await client.submit(packet(number))  # type: ignore[attr-defined]
        got: list[Event] = []
        ended = anyio.Event()

        async def drain() -> None:
            got.extend(await drained(client))
            ended.set()

        async with anyio.create_task_group() as group:
            group.start_soon(drain)
            for number in (2, 0, 1):
                await anyio.wait_all_tasks_blocked()
                assert not ended.is_set()
                await end.send(encode(Result(clip_id=packet(number).header.clip_id)))
            with anyio.fail_after(10):
                await ended.wait()
        assert [event.packet.header.seq for event in got if isinstance(event, Answered)] == [2, 0, 1]

    await run_scripted(play, Scripted())


async def test_an_answer_nobody_has_room_for_yet_is_not_lost_by_draining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transport.client.EVENT_CAPACITY", 2)
    async with anyio.create_task_group() as group, connected(EchoCloud(group)) as client:
        await client.submit(packet(0))
        await anyio.wait_all_tasks_blocked()
        assert client.in_flight == 1
        got: list[Event] = []

        async def read() -> None:
            got.extend([event async for event in client.events()])

        with anyio.fail_after(10):
            async with anyio.create_task_group() as both:
                both.start_soon(client.drain)
                await anyio.wait_all_tasks_blocked()
                both.start_soon(read)
        assert [type(event) for event in got] == [LinkUp, Acked, Answered]


async def test_draining_ends_at_once_where_nothing_was_handed_in() -> None:
    async with anyio.create_task_group() as group, connected(EchoCloud(group)) as client:
        with anyio.fail_after(10):
            assert [type(event) for event in await drained(client)] in ([], [LinkUp])


async def test_draining_a_session_that_gives_up_says_why() -> None:
    cloud = Scripted()

    async def play(client: object, end: MemoryConnection) -> None:
        await client.submit(packet(0))  # type: ignore[attr-defined]
        failures: list[JanusError] = []

        async def drain() -> None:
            try:
                await client.drain()  # type: ignore[attr-defined]
            except JanusError as error:
                failures.append(error)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(drain)
                await anyio.wait_all_tasks_blocked()
                await end.send(encode(ErrorMessage(code="digest", message="other weights")))
            with pytest.raises(HandshakeRefused, match="other weights"):
                await client.drain()  # type: ignore[attr-defined]
            with pytest.raises(HandshakeRefused, match="other weights"):
                _ = [event async for event in client.events()]  # type: ignore[attr-defined]
        assert [type(error) for error in failures] == [HandshakeRefused]

    await run_scripted(play, cloud)


class Heard:
    """Notes what a watch hears, in order; keys without the clips' source."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def link_up(self, rtt_s: float, now: float) -> None:
        self.told.append(("up", rtt_s, now))

    def link_down(self) -> None:
        self.told.append(("down",))

    def sent(self, key: str, num_bytes: int, now: float) -> None:
        self.told.append(("sent", key.removeprefix("street/"), num_bytes, now))

    def acknowledged(self, key: str, now: float) -> None:
        self.told.append(("acknowledged", key.removeprefix("street/"), now))

    def round_trip(self, seconds: float, now: float) -> None:
        self.told.append(("round trip", seconds, now))


async def test_a_watch_hears_of_every_clip_as_it_leaves_and_as_it_is_acknowledged() -> None:
    clock, heard = TurnedClock(), Heard()

    async def play(client: object, end: MemoryConnection) -> None:
        sizes = []
        for number in range(2):
            clock.turn(1.0)
            await client.submit(packet(number))  # type: ignore[attr-defined]
            sizes.append(len(await end.receive()))
        for number in range(2):
            clock.turn(0.5)
            await end.send(encode(Ack(clip_id=packet(number).header.clip_id, num_bytes=1)))
            await acks(client, 1)  # type: ignore[arg-type]
        await end.send(encode(Ack(clip_id="who/knows", num_bytes=1)))
        await end.send(encode(Result(clip_id=packet(0).header.clip_id)))
        await answers(client, 1)  # type: ignore[arg-type]
        assert heard.told == [
            ("up", 0.0, 0.0),
            ("sent", "000000", sizes[0], 1.0),
            ("sent", "000001", sizes[1], 2.0),
            ("acknowledged", "000000", 2.5),
            ("acknowledged", "000001", 3.0),
            ("acknowledged", "who/knows", 3.0),
        ]

    await run_scripted(play, Scripted(), clock=clock, watch=heard)
    assert heard.told[-1] == ("down",)


@pytest.mark.parametrize("num_bytes", [0, 100])
async def test_a_watch_hears_of_probes_by_their_size_or_as_a_round_trip(num_bytes: int) -> None:
    clock, heard = TurnedClock(), Heard()

    async def play(client: object, end: MemoryConnection) -> None:
        async def reply() -> None:
            for _ in range(2):
                probe = await received(end)
                assert isinstance(probe, Probe)
                clock.turn(0.25)
                await end.send(encode(Probe(nonce=probe.nonce, reply=True)))

        async with anyio.create_task_group() as group:
            group.start_soon(reply)
            for _ in range(2):
                await client.probe(num_bytes)  # type: ignore[attr-defined]

    await run_scripted(play, Scripted(), clock=clock, watch=heard)
    each = [[entry[0], *entry[1:]] for entry in heard.told[1:-1]]
    if num_bytes == 0:
        assert each == [["round trip", 0.25, 0.25], ["round trip", 0.25, 0.5]]
        return
    keys = [each[0][1], each[2][1]]
    assert each == [
        ["sent", keys[0], 100, 0.0],
        ["acknowledged", keys[0], 0.25],
        ["sent", keys[1], 100, 0.25],
        ["acknowledged", keys[1], 0.5],
    ]
    assert keys[0] != keys[1] and not any("/" in str(key) for key in keys)


async def test_a_probe_that_a_lost_link_swallows_is_never_told_as_acknowledged() -> None:
    heard = Heard()

    async def play(client: object, end: MemoryConnection) -> None:
        async def cut() -> None:
            await received(end)
            end.cut()

        async with anyio.create_task_group() as group:
            group.start_soon(cut)
            with pytest.raises(LinkLost):
                await client.probe(100)  # type: ignore[attr-defined]

    await run_scripted(play, Scripted(), watch=heard)
    assert [entry[0] for entry in heard.told] == ["up", "sent", "down"]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 8), cuts=st.lists(st.integers(0, 20), max_size=5))
async def test_wherever_the_link_is_cut_a_watch_hears_a_story_that_makes_sense(
    count: int, cuts: list[int]
) -> None:
    heard = Heard()
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, cut_after=list(cuts))
        patient = {"connect_s": 1000, "patience_s": 1000}
        async with connected(cloud, watch=heard, **patient) as client:
            with anyio.fail_after(10):
                await submit_all(client, count)
                events = await drained(client)
    under_way: set[object] = set()
    up = False
    for kind, *rest in heard.told:
        assert up == (kind != "up"), "messages only between up and down, which take turns"
        match kind:
            case "up" | "down":
                up = kind == "up"
                under_way.clear()
            case "sent":
                assert rest[0] not in under_way
                under_way.add(rest[0])
            case "acknowledged":
                under_way.remove(rest[0])
    assert not up
    acknowledged = [rest[0] for kind, *rest in heard.told if kind == "acknowledged"]
    assert acknowledged == [e.clip_id.removeprefix("street/") for e in events if isinstance(e, Acked)]
