"""The cloud's end of one device: validated clips come in, acknowledged at once; results go out."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Self

import anyio

from pipeline.background import background
from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigError, LinkLost, MessageTooLarge, ProtocolError
from pipeline.items import Header, Packet
from transport.codecs import family, get_codec
from transport.connection import Connection
from transport.handshake import HANDSHAKE_S, admit
from transport.messages import (
    Ack,
    Bye,
    ClipMessage,
    ErrorCode,
    ErrorMessage,
    Message,
    Probe,
    Result,
    Welcome,
    clip_of,
    encode,
    validate,
)
from transport.pacer import Allowance, Pacer
from transport.room import Room
from transport.untrusted import one_line, unpack_map

Answer = Result | ErrorMessage
Check = Callable[[Header, int, int], None]

MAX_BAD_MESSAGES = 16
# Of what is no clip: what a session may say unpaced, which is what a device's probes need, and what all may
# say beyond that. Little is free at first: who was sent away would only come again.
TALK_PER_S, TALK_AT_ONCE = 3.0, 12.0
PACED_PER_S = 50.0
# So many bytes take another turn.
TURN_BYTES = 64 * 1024


class Session:
    """One device, after its handshake; made by `open_session`."""

    def __init__(
        self,
        connection: Connection,
        welcome: Welcome,
        check: Check,
        *,
        max_bad_messages: int,
        clock: Clock,
        pacer: Pacer,
    ) -> None:
        self.ended: str | None = None
        self.heard_at = clock.now()
        self._connection = connection
        self._welcome = welcome
        self._check = check
        self._bad_messages_left = max_bad_messages
        self._clock = clock
        self._allowance = Allowance(TALK_PER_S, TALK_AT_ONCE, TALK_PER_S, clock)
        self._pacer = pacer
        self._unseated = anyio.Event()
        self._in_flight: set[str] = set()
        self._unanswered: set[str] = set()
        # Never more than `max_in_flight` clips are unanswered, so this never fills.
        self._deliver, self._arrived = anyio.create_memory_object_stream[Packet](welcome.max_in_flight)
        # Nor does this: an answer in it still counts as in flight.
        self._answer_in, self._answer_out = anyio.create_memory_object_stream[Answer](welcome.max_in_flight)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._deliver, self._arrived, self._answer_in, self._answer_out):
            stream.close()

    @property
    def peer(self) -> str:
        return self._connection.peer

    @property
    def in_flight(self) -> int:
        """Clips received whose answer has not gone out yet."""
        return len(self._in_flight)

    async def packets(self) -> AsyncIterator[Packet]:
        """The clips of this device, until it leaves; `ended` then says how."""
        async with self._arrived.clone() as arrived:
            async for packet in arrived:
                yield packet

    async def send_result(self, result: Result) -> bool:
        """Answer a clip; False when nobody waits for it any more."""
        return await self._answer(result.clip_id, result)

    async def refuse(self, clip_id: str, message: str, code: ErrorCode = "failed") -> bool:
        """Answer a clip that cannot be processed; False when nobody waits for it any more."""
        return await self._answer(clip_id, _error(code, message, clip_id))

    async def say_bye(self, reason: str) -> None:
        """Ask the device to leave: it sends no new clip, and goes once those under way are answered."""
        with suppress(LinkLost):
            await self._send(Bye(reason=one_line(reason, 200)))

    async def close(self, reason: str) -> None:
        """Say goodbye and end the link."""
        self.ended = self.ended or reason
        with anyio.move_on_after(1, shield=True):
            await self.say_bye(reason)
        await self._connection.close()

    def make_way(self) -> None:
        """End soon: the cloud is full, and nothing has been heard of this device for long."""
        self._unseated.set()

    async def end_unseated(self) -> None:
        """Close once another device has got this one's seat."""
        await self._unseated.wait()
        await self.close(f"the {self._welcome.serves} is full, and you were silent for long")

    async def read(self) -> None:
        """Take what the device sends until the link ends."""
        try:
            while self.ended is None:
                await self._take_next()
        except (LinkLost, MessageTooLarge) as error:
            self.ended = self.ended or str(error)
        finally:
            self._deliver.close()

    async def write(self) -> None:
        """Send the answers. A device that does not read them holds up nobody but itself."""
        with suppress(LinkLost):
            async for answer in self._answer_out:
                # The device may send its next clip as soon as it has read this.
                self._in_flight.discard(answer.clip_id or "")
                await self._send(answer)

    async def _take_next(self) -> None:
        try:
            data = await self._connection.receive()
            self.heard_at = self._clock.now()
            if len(data) > self._welcome.max_message_bytes:
                limit_bytes, serves = self._welcome.max_message_bytes, self._welcome.serves
                raise MessageTooLarge(f"from {self.peer}", len(data), limit_bytes, serves)
        except MessageTooLarge as error:
            await self._send(_error("too-large", str(error)))
            raise
        except ProtocolError as error:
            await self._bad_message(error)
            await self._rest(0)
        else:
            if not await self._took_clip(data):
                await self._rest(len(data))

    async def _took_clip(self, data: bytes) -> bool:
        """Whether it is a clip, and one that will be answered by its result."""
        fields: dict[str, object] = {}
        try:
            fields = unpack_map(data)
            return await self._take(validate(fields), len(data))
        except ProtocolError as error:
            clip_id = clip_of(fields)
            if clip_id is None:
                await self._bad_message(error)
            else:
                await self._send(_error("bad-message", str(error), clip_id))
            return False

    async def _rest(self, num_bytes: int) -> None:
        """Let the next message wait, where this device says much that is no clip: others want their turn."""
        turns = 1 + num_bytes / TURN_BYTES
        if not self._allowance.take(turns):
            await self._pacer.wait(turns)

    async def _take(self, message: Message, num_bytes: int) -> bool:
        match message:
            case ClipMessage():
                return await self._take_clip(message, num_bytes)
            case Probe(reply=False):
                await self._send(Probe(nonce=message.nonce, reply=True))
                return False
            case Bye():
                raise LinkLost(f"{self.peer}: said goodbye: {one_line(message.reason)}")
            case _:
                raise ProtocolError(f"{message.type} message, which no device sends after its hello")

    async def _take_clip(self, message: ClipMessage, num_bytes: int) -> bool:
        packet = message.packet()
        problem = self._problem(packet)
        if problem is not None:
            await self._send(problem)
            return False
        self._in_flight.add(message.clip_id)
        self._unanswered.add(message.clip_id)
        await self._send(Ack(clip_id=message.clip_id, num_bytes=num_bytes))
        self._deliver.send_nowait(packet)
        return True

    def _problem(self, packet: Packet) -> ErrorMessage | None:
        header = packet.header
        if header.clip_id in self._in_flight:
            return _error("duplicate", "a clip of this name is under way already", header.clip_id)
        if len(self._in_flight) >= self._welcome.max_in_flight:
            limit = f"more than the agreed {self._welcome.max_in_flight} clips in flight"
            return _error("busy", limit, header.clip_id)
        try:
            self._check_codec(header)
            self._check(header, len(packet.payload), len(packet.sizes))
        except ConfigError as error:
            return _error("codec", str(error), header.clip_id)
        except ProtocolError as error:
            return _error("bad-message", str(error), header.clip_id)
        return None

    def _check_codec(self, header: Header) -> None:
        if family(header.codec) not in self._welcome.codecs:
            raise ConfigError(f"codec {header.codec} is none of this {self._welcome.serves}'s")
        kind = "pixels" if header.split == 0 else "tokens"
        if get_codec(header.codec).kind != kind:
            raise ConfigError(f"codec {header.codec} is not for {kind}, which split {header.split} sends")

    async def _bad_message(self, error: ProtocolError) -> None:
        self._bad_messages_left -= 1
        await self._send(_error("bad-message", str(error)))
        if self._bad_messages_left <= 0:
            await self.close("too many messages that cannot be read")

    async def _answer(self, clip_id: str, answer: Answer) -> bool:
        if self.ended is not None or clip_id not in self._unanswered:
            return False
        self._unanswered.discard(clip_id)
        self._answer_in.send_nowait(answer)
        return True

    async def _send(self, message: Message) -> None:
        await self._connection.send(encode(message))


def _error(code: ErrorCode, text: str, clip_id: str | None = None) -> ErrorMessage:
    return ErrorMessage(code=code, message=one_line(text, 500), clip_id=clip_id)


@asynccontextmanager
async def open_session(
    connection: Connection,
    welcome: Welcome,
    check: Check,
    *,
    room: Room | None = None,
    pacer: Pacer | None = None,
    clock: Clock | None = None,
    hello_timeout_s: float = HANDSHAKE_S,
    max_bad_messages: int = MAX_BAD_MESSAGES,
) -> AsyncIterator[Session]:
    """A session over `connection`, which closes with the context, with a seat in `room`; `pacer` spaces out
    what they say beyond clips.

    `check(header, payload_bytes, sizes_bytes)` raises ProtocolError for a clip that does not fit the
    model. HandshakeRefused or LinkLost when the device is not taken.
    """
    clock = clock or SystemClock()
    room = Room(1, clock) if room is None else room
    pacer = pacer or Pacer(PACED_PER_S, clock)
    session = Session(connection, welcome, check, max_bad_messages=max_bad_messages, clock=clock, pacer=pacer)
    try:
        with session:
            await admit(connection, welcome, hello_timeout_s, partial(room.take, session))
            async with background(session.read, session.write, session.end_unseated):
                yield session
            await session.close(f"the {welcome.serves} ended the session")
    finally:
        room.leave(session)
        await connection.close()
