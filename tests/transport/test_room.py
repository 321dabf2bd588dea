"""Seats: for as many as there are, and an idle session gives up its own when another wants it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.errors import HandshakeRefused, LinkLost
from tests.transport.world import HELLO, WELCOME, accept_all, packet
from transport.handshake import greet
from transport.memory import MemoryConnection, memory_link
from transport.messages import REPLY_LIMIT_BYTES, Ack, Bye, ClipMessage, Message, Probe, decode, encode
from transport.room import SILENT_S, Room
from transport.server import Session, open_session

SEATS = 3


@dataclass(eq=False)
class Sitter:
    heard_at: float
    in_flight: int = 0
    gone: list[float] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)

    def make_way(self) -> None:
        self.gone.append(self.clock.now())


@given(
    sitters=st.lists(st.tuples(st.floats(0, 200), st.integers(0, 2)), min_size=SEATS, max_size=SEATS),
)
def test_a_full_room_gives_the_seat_of_who_was_silent_longest_or_none(
    sitters: list[tuple[float, int]],
) -> None:
    clock = ManualClock(200.0)
    room, seated = Room(SEATS, clock), [Sitter(heard_at, clips) for heard_at, clips in sitters]
    assert all(room.take(sitter) for sitter in seated)
    assert not any(sitter.gone for sitter in seated)
    silent = [s for s in seated if s.in_flight == 0 and s.heard_at <= 200.0 - SILENT_S]
    assert room.take(Sitter(200.0)) == bool(silent)
    assert len(room) == SEATS
    left = [sitter for sitter in seated if sitter.gone]
    assert len(left) == min(1, len(silent))
    assert all(sitter.heard_at == min(s.heard_at for s in silent) for sitter in left)


def test_who_leaves_frees_a_seat() -> None:
    room, first, second = Room(1, ManualClock()), Sitter(0.0), Sitter(0.0)
    assert room.take(first) and not room.take(second)
    room.leave(first)
    room.leave(first)
    assert room.take(second) and len(room) == 1


async def heard(device: MemoryConnection) -> Message:
    return decode(await device.receive(), REPLY_LIMIT_BYTES)


@asynccontextmanager
async def seated(room: Room, clock: ManualClock) -> AsyncIterator[tuple[MemoryConnection, Session]]:
    device, cloud = memory_link()
    await device.send(encode(HELLO))
    async with open_session(cloud, WELCOME, accept_all, room=room, clock=clock) as session:
        assert await heard(device) == WELCOME
        yield device, session


async def test_a_session_that_was_silent_for_long_is_told_to_go_when_its_seat_is_wanted() -> None:
    clock = ManualClock()
    room = Room(2, clock)
    async with seated(room, clock) as (idle, session), seated(room, clock) as (busy, _):
        clock.advance(SILENT_S / 2)
        await busy.send(encode(Probe(nonce=1)))
        assert isinstance(await heard(busy), Probe)
        clock.advance(SILENT_S / 2)
        async with seated(room, clock):
            assert await heard(idle) == Bye(reason="the cloud is full, and you were silent for long")
            with pytest.raises(LinkLost):
                await idle.receive()
            assert session.ended and len(room) == 2


async def test_a_session_with_a_clip_under_way_keeps_its_seat_however_silent_it_is() -> None:
    clock = ManualClock()
    room = Room(1, clock)
    async with seated(room, clock) as (device, _):
        await device.send(encode(ClipMessage.of(packet(1))))
        assert isinstance(await heard(device), Ack)
        clock.advance(100 * SILENT_S)
        near, far = memory_link()
        await near.send(encode(HELLO))
        with pytest.raises(HandshakeRefused, match="no room"):
            async with open_session(far, WELCOME, accept_all, room=room, clock=clock):
                pass


async def test_who_finds_no_room_is_told_so_and_may_come_back() -> None:
    clock = ManualClock()
    room = Room(1, clock)
    near, far = memory_link()

    async def serve() -> None:
        with pytest.raises(HandshakeRefused):
            async with open_session(far, WELCOME, accept_all, room=room, clock=clock):
                pass

    async with seated(room, clock), anyio.create_task_group() as group:
        group.start_soon(serve)
        with pytest.raises(LinkLost, match="the cloud refused: there is no room for another device"):
            await greet(near, HELLO, clock)
    assert len(room) == 0
    async with seated(room, clock):
        assert len(room) == 1


async def test_a_stranger_takes_no_seat() -> None:
    clock = ManualClock()
    room = Room(1, clock)
    near, far = memory_link()
    await near.send(encode(HELLO.model_copy(update={"digest": "other"})))
    with pytest.raises(HandshakeRefused, match="weights"):
        async with open_session(far, WELCOME, accept_all, room=room, clock=clock):
            pass
    async with seated(room, clock):
        assert len(room) == 1
