"""The cloud's end: clips are checked and acknowledged at once, strangers are refused, garbage survived."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.errors import HandshakeRefused, LinkLost, ProtocolError
from pipeline.items import Header
from tests.transport.world import HELLO, WELCOME, accept_all, packet
from transport.memory import MemoryConnection, memory_link
from transport.messages import (
    HELLO_LIMIT_BYTES,
    PROTOCOL,
    REPLY_LIMIT_BYTES,
    Ack,
    Bye,
    ClipMessage,
    ErrorMessage,
    Message,
    Probe,
    Result,
    decode,
    encode,
)
from transport.pacer import Pacer
from transport.server import (
    MAX_BAD_MESSAGES,
    TALK_AT_ONCE,
    TALK_PER_S,
    TURN_BYTES,
    Session,
    open_session,
)


async def received(device: MemoryConnection) -> Message:
    return decode(await device.receive(), REPLY_LIMIT_BYTES)


async def sent(device: MemoryConnection, number: int, **changed: object) -> None:
    await device.send(encode(ClipMessage.of(packet(number, **changed))))  # type: ignore[arg-type]


@asynccontextmanager
async def session_of(**options: object) -> AsyncIterator[tuple[MemoryConnection, Session]]:
    """A device's end after its handshake, and the session that serves it."""
    device, cloud = memory_link(capacity=options.pop("capacity", 64))  # type: ignore[arg-type]
    await device.send(encode(HELLO))
    check = options.pop("check", accept_all)
    async with open_session(cloud, WELCOME, check, **options) as session:  # type: ignore[arg-type]
        assert await received(device) == WELCOME
        yield device, session


async def test_a_clip_is_acknowledged_before_anybody_takes_it() -> None:
    async with session_of() as (device, session):
        data = encode(ClipMessage.of(packet(1)))
        await device.send(data)
        assert await received(device) == Ack(clip_id="street/000001", num_bytes=len(data))
        assert session.in_flight == 1
        assert await anext(session.packets()) == packet(1)


async def test_acknowledgements_do_not_wait_for_a_slow_cloud() -> None:
    async with session_of() as (device, _):
        for number in range(WELCOME.max_in_flight):
            await sent(device, number)
        got = [await received(device) for _ in range(WELCOME.max_in_flight)]
        assert all(isinstance(message, Ack) for message in got)


async def test_a_result_goes_back_once() -> None:
    async with session_of() as (device, session):
        await sent(device, 1)
        assert isinstance(await received(device), Ack)
        result = Result(clip_id="street/000001", classes=(("walking", 3, 0.5),))
        assert await session.send_result(result)
        assert not await session.send_result(result)
        assert not await session.refuse("street/000001", "late")
        assert await received(device) == result
        assert session.in_flight == 0


async def test_a_clip_that_cannot_be_processed_is_refused_by_name() -> None:
    async with session_of() as (device, session):
        await sent(device, 1)
        await anext(session.packets())
        assert await session.refuse("street/000001", "does not\ndecode")
        await received(device)
        expected = ErrorMessage(code="failed", message="does not decode", clip_id="street/000001")
        assert await received(device) == expected


async def test_more_clips_than_agreed_are_refused() -> None:
    async with session_of() as (device, session):
        for number in range(WELCOME.max_in_flight + 1):
            await sent(device, number)
        got = [await received(device) for _ in range(WELCOME.max_in_flight + 1)]
        assert isinstance(got[-1], ErrorMessage)
        assert (got[-1].code, got[-1].clip_id) == ("busy", "street/000003")
        assert session.in_flight == WELCOME.max_in_flight


def refuse_odd(header: Header, payload_bytes: int, sizes_bytes: int) -> None:
    if header.seq % 2:
        raise ProtocolError(f"clip {header.seq} is odd, {payload_bytes} bytes")


@pytest.mark.parametrize(
    ("number", "changed", "code"),
    [
        (2, {"codec": "float16"}, "codec"),
        (2, {"codec": "jpeg"}, "codec"),
        (2, {"split": 0, "shape": (1, 8, 8, 3)}, "codec"),
        (2, {"codec": "jpeg:999", "split": 0, "shape": (1, 8, 8, 3)}, "codec"),
        (1, {}, "bad-message"),
        (0, {}, "duplicate"),
    ],
)
async def test_a_clip_that_does_not_fit_is_refused_and_the_session_lives(
    number: int, changed: dict[str, object], code: str
) -> None:
    async with session_of(check=refuse_odd) as (device, session):
        await sent(device, 0)
        await sent(device, number, **changed)
        await sent(device, 4)
        got = [await received(device) for _ in range(3)]
        assert [message.type for message in got] == ["ack", "error", "ack"]
        assert isinstance(got[1], ErrorMessage)
        assert (got[1].code, got[1].clip_id) == (code, f"street/{number:06d}")
        assert session.in_flight == 2


async def test_an_invalid_clip_is_refused_by_its_name() -> None:
    async with session_of() as (device, _):
        fields = msgpack.unpackb(encode(ClipMessage.of(packet(1))))
        await device.send(msgpack.packb({**fields, "shape": [3]}))
        error = await received(device)
        assert isinstance(error, ErrorMessage)
        assert error.clip_id == "street/000001" and "shape" in error.message


async def test_probes_are_answered_without_their_payload() -> None:
    async with session_of() as (device, _):
        await device.send(encode(Probe(nonce=5, payload=bytes(1000))))
        assert await received(device) == Probe(nonce=5, reply=True)


@pytest.mark.parametrize("bye", [True, False])
async def test_the_packets_end_when_the_device_leaves(bye: bool) -> None:
    async with session_of() as (device, session):
        if bye:
            await device.send(encode(Bye(reason="done")))
        else:
            device.cut()
        assert [item async for item in session.packets()] == []
        assert session.ended is not None and ("done" if bye else "cut") in session.ended
        assert not await session.send_result(Result(clip_id="street/000001"))


async def test_a_result_for_a_device_that_just_left_is_dropped() -> None:
    async with session_of() as (device, session):
        await sent(device, 1)
        await anext(session.packets())
        device.cut()
        await anyio.wait_all_tasks_blocked()
        assert not await session.send_result(Result(clip_id="street/000001"))


async def test_a_device_that_reads_nothing_holds_up_nobody_who_answers_it() -> None:
    numbers = range(WELCOME.max_in_flight)
    async with session_of(capacity=len(numbers)) as (device, session):
        for number in numbers:
            await sent(device, number)
        clips = session.packets()
        names = [(await anext(clips)).header.clip_id for _ in numbers]
        with anyio.fail_after(5):
            for name in names:
                assert await session.send_result(Result(clip_id=name))
                assert not await session.send_result(Result(clip_id=name))
        told = [await received(device) for _ in range(2 * len(numbers))]
        assert [message.clip_id for message in told if isinstance(message, Result)] == names


async def test_a_peer_that_refuses_a_large_message_calls_itself_one() -> None:
    device, end = memory_link(capacity=64)
    welcome = WELCOME.model_copy(update={"serves": "peer"})
    hello = HELLO.model_copy(update={"seeks": "peer", "parts": (WELCOME.digest,)})
    await device.send(encode(hello))
    async with open_session(end, welcome, accept_all) as session:
        await device.send(bytes(WELCOME.max_message_bytes + 1))
        assert [item async for item in session.packets()] == []
        assert str(session.ended).endswith("raise --max-message-mb on the peer")


async def test_a_message_over_the_limit_ends_the_session_with_a_reason() -> None:
    async with session_of() as (device, session):
        await device.send(bytes(WELCOME.max_message_bytes + 1))
        error = await received(device)
        assert isinstance(error, ErrorMessage) and error.code == "too-large"
        assert [item async for item in session.packets()] == []
        assert "limit of 4096" in str(session.ended)


@settings(max_examples=60, deadline=None)
@given(garbage=st.lists(st.binary(max_size=200), max_size=MAX_BAD_MESSAGES - 1))
async def test_garbage_is_answered_and_survived(garbage: list[bytes]) -> None:
    async with session_of() as (device, session):
        for data in garbage:
            await device.send(data)
            answer = await received(device)
            assert isinstance(answer, ErrorMessage) and answer.clip_id is None
        await sent(device, 1)
        assert (await anext(session.packets())).header.clip_id == "street/000001"


async def test_too_much_garbage_ends_the_session() -> None:
    async with session_of(max_bad_messages=3) as (device, session):
        for _ in range(3):
            await device.send(b"\xc1")
        assert [item async for item in session.packets()] == []
        assert [type(await received(device)) for _ in range(4)] == [ErrorMessage] * 3 + [Bye]


BAD = [b"\xc1", encode(ClipMessage.of(packet(1, codec="jpeg"))), encode(Probe(nonce=1))]


@pytest.mark.parametrize("data", BAD)
async def test_what_is_no_clip_takes_turns_among_all_devices_and_nothing_else_waits(data: bytes) -> None:
    clock = ManualClock()
    shared = {"pacer": Pacer(1.0, clock), "clock": clock, "max_bad_messages": 100}
    async with session_of(**shared) as (one, _), session_of(**shared) as (other, _):
        for device in (one, other):
            for _ in range(int(TALK_PER_S)):
                await device.send(data)
                await received(device)
            await device.send(data)
        told: list[str] = []

        async def hear(name: str, device: MemoryConnection) -> None:
            await received(device)
            told.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(hear, "one", one)
            group.start_soon(hear, "other", other)
            await anyio.wait_all_tasks_blocked()
            assert told == ["one"], "who comes second waits for its turn"
            async with session_of(**shared) as (healthy, _):
                await sent(healthy, 2)
                assert isinstance(await received(healthy), Ack)
            while len(told) < 2:
                clock.advance(0.1)
                await anyio.wait_all_tasks_blocked()
            assert clock.now() <= 2.5


async def test_what_a_session_is_allowed_never_waits_however_many_others_do() -> None:
    clock = ManualClock()
    pacer = Pacer(0.001, clock)
    await pacer.wait()
    async with session_of(pacer=pacer, clock=clock) as (device, _):
        clock.advance(TALK_AT_ONCE / TALK_PER_S)
        for nonce in range(int(TALK_AT_ONCE) - 1):
            await device.send(encode(Probe(nonce=nonce)))
            with anyio.fail_after(5):
                assert await received(device) == Probe(nonce=nonce, reply=True)


async def test_large_messages_that_are_no_clips_take_more_turns() -> None:
    clock = ManualClock()
    big = WELCOME.model_copy(update={"max_message_bytes": 1 << 21})
    device, cloud = memory_link()
    await device.send(encode(HELLO))
    async with open_session(cloud, big, accept_all, clock=clock, pacer=Pacer(1.0, clock)):
        await received(device)
        for _ in range(2):
            await device.send(encode(Probe(nonce=1, payload=bytes(TURN_BYTES * 16))))
            await received(device)
        await device.send(encode(Probe(nonce=2)))
        with anyio.move_on_after(0.05) as too_soon:
            await received(device)
        assert too_soon.cancelled_caught
        clock.advance(18)
        assert await received(device) == Probe(nonce=2, reply=True)


@pytest.mark.parametrize("message", [HELLO, WELCOME, Ack(clip_id="a", num_bytes=1), Result(clip_id="a")])
async def test_messages_that_no_device_sends_are_refused(message: Message) -> None:
    async with session_of() as (device, _):
        await device.send(encode(message))
        error = await received(device)
        assert isinstance(error, ErrorMessage) and message.type in error.message


@pytest.mark.parametrize(
    ("hello", "code", "line"),
    [
        (HELLO.model_copy(update={"protocol": 0}), "protocol", "speaks protocol 1, the device 0"),
        (HELLO.model_copy(update={"digest": "0000"}), "digest", "1f2e on the cloud, 0000 on the device"),
        (HELLO.model_copy(update={"model": "other"}), "model", "runs vit, the device other"),
        (HELLO.model_copy(update={"codecs": ("png",)}), "codec", "float32"),
        (Probe(nonce=1), "bad-message", "probe message where a hello belongs"),
    ],
)
async def test_a_device_that_does_not_fit_hears_why(hello: Message, code: str, line: str) -> None:
    device, cloud = memory_link()
    await device.send(encode(hello))
    with pytest.raises(HandshakeRefused, match=line):
        async with open_session(cloud, WELCOME, accept_all):
            pass
    error = await received(device)
    assert isinstance(error, ErrorMessage)
    assert error.code == code and line in error.message and error.clip_id is None
    with pytest.raises(LinkLost):
        await device.receive()


async def test_a_newer_protocol_is_named_even_when_its_hello_says_more() -> None:
    device, cloud = memory_link()
    fields = msgpack.unpackb(encode(HELLO))
    await device.send(msgpack.packb({**fields, "protocol": PROTOCOL + 1, "colour": "blue"}))
    with pytest.raises(HandshakeRefused, match="the device 2"):
        async with open_session(cloud, WELCOME, accept_all):
            pass


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1", bytes(HELLO_LIMIT_BYTES + 1)])
async def test_a_stranger_is_refused(data: bytes) -> None:
    device, cloud = memory_link()
    await device.send(data)
    with pytest.raises(HandshakeRefused):
        async with open_session(cloud, WELCOME, accept_all):
            pass


async def test_a_device_that_says_nothing_is_not_waited_for() -> None:
    device, cloud = memory_link()
    with pytest.raises(LinkLost, match="no hello within"):
        async with open_session(cloud, WELCOME, accept_all, hello_timeout_s=0.01):
            pass
    with pytest.raises(LinkLost):
        await device.receive()


async def test_leaving_the_session_says_bye_and_an_error_comes_out_as_itself() -> None:
    async with session_of() as (device, _):
        pass
    assert isinstance(await received(device), Bye)
    with pytest.raises(KeyError):
        async with session_of():
            raise KeyError


async def test_cancelling_closes_the_link() -> None:
    ends: list[MemoryConnection] = []

    async def serve() -> None:
        async with session_of() as (device, session):
            ends.append(device)
            async for _ in session.packets():
                pass

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    with pytest.raises(LinkLost):
        await ends[0].receive()
