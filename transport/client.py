"""The device's end: clips go out in order, answers come back, and a lost link is mended."""

import logging
import math
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Self

import anyio

from pipeline.background import background
from pipeline.clock import Clock, SystemClock
from pipeline.errors import HandshakeRefused, JanusError, LinkLost, MessageTooLarge, ProtocolError
from pipeline.items import Packet
from pipeline.signal import Signal
from transport.backoff import Backoff
from transport.connection import Connection, Dial
from transport.events import Answered, Event, LinkDown, LinkUp
from transport.handshake import HANDSHAKE_S, Link, greet
from transport.messages import (
    REPLY_LIMIT_BYTES,
    Ack,
    Bye,
    ClipMessage,
    ErrorMessage,
    Hello,
    Message,
    Probe,
    Result,
    Welcome,
    decode,
    encode,
)
from transport.outbox import Outbox
from transport.probes import Probes
from transport.watch import LinkWatch, NoWatch

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
CONNECT_S = 5.0
ANSWER_S = 300.0
SAY_EVERY_S = 60.0
PROVEN_S = 30.0  # a link that held so long was a good one, whatever it carried
GOODBYE_S = 10.0
MOST_IN_FLIGHT = 1024
EVENT_CAPACITY = 1024
PROBE_FRAME_BYTES = 64
FOR_EVER = ("protocol", "model", "digest", "codec")


class CloudClient:
    """A session with the cloud that outlives its links; made by `connect_cloud`."""

    def __init__(
        self,
        dial: Dial,
        hello: Hello,
        clock: Clock,
        backoff: Backoff,
        *,
        watch: LinkWatch,
        handshake_s: float,
        answer_s: float,
        most_in_flight: int,
    ) -> None:
        self._dial = dial
        self._hello = hello
        self._clock = clock
        self._backoff = backoff
        self._watch = watch
        self._handshake_s = handshake_s
        self._answer_s = answer_s
        self._most_in_flight = most_in_flight
        self._outbox = Outbox()
        self._probes = Probes()
        self._changed = Signal()
        self._link: Link | None = None
        self._welcome: Welcome | None = None
        self._failure: JanusError | None = None
        self._goodbye: str | None = None
        self._trouble: str | None = None
        self._said = ""
        self._news_at = self._said_at = -math.inf
        self._emit, self._events = anyio.create_memory_object_stream[Event](EVENT_CAPACITY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._emit.close()
        self._events.close()

    @property
    def welcome(self) -> Welcome:
        """The cloud's latest welcome: its limits, codecs and profile."""
        if self._welcome is None:
            raise LinkLost(f"the {self._hello.seeks} has not welcomed this device yet")
        return self._welcome

    @property
    def known(self) -> bool:
        """Whether a cloud has welcomed this device yet."""
        return self._welcome is not None

    @property
    def connected(self) -> bool:
        """Whether there is a link, and a cloud at its end that takes clips."""
        return self._link is not None and self._goodbye is None

    @property
    def trouble(self) -> str | None:
        """Why there is no link, as far as that is known."""
        return self._trouble if self._link is None else self._goodbye

    @property
    def in_flight(self) -> int:
        """Clips handed in and not answered yet."""
        return len(self._outbox)

    @property
    def overdue(self) -> bool:
        """Whether the cloud still owes an answer to a clip that was withdrawn."""
        return self._outbox.overdue

    async def room(self) -> None:
        """Wait until there is a link, and less than the most clips are unanswered; any LinkError means that
        the client has given up for good."""
        while self._failure is None and not (self.connected and len(self._outbox) < self._window):
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    async def submit(self, packet: Packet) -> None:
        """Hand in one clip; waits while as many clips as may be are unanswered.

        MessageTooLarge and ProtocolError refuse this clip alone; any LinkError means that the client
        has given up for good.
        """
        clip_id = packet.header.clip_id
        data = encode(ClipMessage.of(packet))
        while self._failure is None and len(self._outbox) >= self._window:
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        if clip_id in self._outbox:
            raise ProtocolError(f"clip {clip_id}: is under way already")
        if len(data) > self.welcome.max_message_bytes:
            limit_bytes = self.welcome.max_message_bytes
            raise MessageTooLarge(f"clip {clip_id}", len(data), limit_bytes, self._hello.seeks)
        self._outbox.add(packet, data)
        self._changed.notify()

    async def drain(self) -> None:
        """Wait until every clip is answered, then end `events`; raises what ended the client."""
        while self._failure is None and self._outbox.wanted > 0:
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        self._emit.close()

    def withdraw(self, clip_id: str) -> None:
        """Nobody waits for this clip's answer any more; should one come, nobody hears of it."""
        self._outbox.withdraw(clip_id)
        self._changed.notify()

    async def events(self) -> AsyncIterator[Event]:
        """All that happens, for one reader, who must keep reading; raises what ended the client."""
        async with self._events.clone() as events:
            async for event in events:
                yield event
        if self._failure is not None:
            raise self._failure

    async def probe(self, payload_bytes: int = 0) -> float:
        """Seconds until the cloud's small reply to a message of `payload_bytes`, or as much as it takes;
        LinkLost without a link."""
        if self._link is None:
            raise LinkLost("there is no link to probe")
        payload_bytes = min(payload_bytes, self.welcome.max_message_bytes - PROBE_FRAME_BYTES)
        now = self._clock.now()
        nonce = self._probes.begin(now)
        if payload_bytes > 0:
            self._watch.sent(_probe_key(nonce), payload_bytes, now)
        await self._link.connection.send(encode(Probe(nonce=nonce, payload=bytes(payload_bytes))))
        seconds = await self._probes.seconds(nonce)
        if payload_bytes > 0:
            self._watch.acknowledged(_probe_key(nonce), now + seconds)
        else:
            self._watch.round_trip(seconds, now + seconds)
        return seconds

    async def open(self, backoff: Backoff, error: LinkLost | None = None) -> Link:
        """A link that both ends accept, after as many attempts as `backoff` has patience for."""
        while True:
            if error is not None:
                await self._wait(backoff, error)
            try:
                return await self._open_once()
            except LinkLost as lost:
                error = lost
                self._tell_trouble(lost)
            except (HandshakeRefused, ProtocolError) as broken:
                error = self._lost_by(broken)
                self._tell_trouble(error, refused=True)

    async def run(self, link: Link | None = None) -> None:
        """Converse over `link`, or the first that can be had, and those that follow it, until none can."""
        try:
            link = link or await self.open(self._backoff)
            while True:
                began = self._clock.now()
                lost = await self._until_lost(link)
                lasted_s = self._clock.now() - began
                if lasted_s > min(self._backoff.patience_s, PROVEN_S) and not self._outbox.wanted:
                    self._backoff.over()
                self._trouble = self._said = str(lost)
                self._said_at = self._clock.now()
                await self._emit.send(LinkDown(str(lost), link.connection.peer))
                link = await self.open(self._backoff, lost)
        except JanusError as error:
            self._failure = error
            self._changed.notify()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return  # drained: nobody listens any more
        finally:
            self._emit.close()

    async def _until_lost(self, link: Link) -> LinkLost:
        try:
            return await self._converse(link)
        except (HandshakeRefused, ProtocolError) as broken:
            return self._lost_by(broken)

    def _lost_by(self, broken: JanusError) -> LinkLost:
        """A link that was refused, or on which the rules were broken, as one that was lost, where patience
        is endless: a cloud that took this device once may do so again. Elsewhere raises `broken`."""
        if self._backoff.patience_s < math.inf or self._welcome is None:
            raise broken
        return LinkLost(str(broken))

    async def say_bye(self) -> None:
        """Tell the cloud that no more will come."""
        if self._link is not None:
            with suppress(LinkLost), anyio.move_on_after(1):
                await self._link.connection.send(encode(Bye(reason="done")))

    def _tell_trouble(self, lost: LinkLost, *, refused: bool = False) -> None:
        """Log once a minute why there is no link, and at once where it is refused for another reason."""
        self._trouble, now = str(lost), self._clock.now()
        due = now - self._said_at >= SAY_EVERY_S or (refused and self._trouble != self._said)
        if due and self._backoff.patience_s == math.inf:
            self._said, self._said_at = self._trouble, now
            log.warning("%s; going on without it, and trying again", lost)

    @property
    def _window(self) -> int:
        return min(self.welcome.max_in_flight, self._most_in_flight)

    async def _wait(self, backoff: Backoff, error: LinkLost) -> None:
        wait_s = backoff.next_wait(self._clock.now())
        if wait_s is None:
            raise LinkLost(f"{error}; gave up after {backoff.patience_s:g} s")
        await self._clock.sleep(wait_s)

    async def _open_once(self) -> Link:
        async with AsyncExitStack() as unless_accepted:
            connection = await self._dial()
            unless_accepted.push_async_callback(connection.close)
            link = await greet(connection, self._hello, self._clock, self._handshake_s)
            self._welcome, self._link, self._goodbye = link.welcome, link, None
            self._watch.link_up(link.rtt_s, self._clock.now())
            self._changed.notify()
            unless_accepted.pop_all()
            return link

    async def _converse(self, link: Link) -> LinkLost:
        try:
            up = LinkUp(link.connection.peer, link.welcome, link.rtt_s, again=self._trouble is not None)
            self._trouble = None
            await self._emit.send(up)
            await self._give_up_oversized(link.welcome.max_message_bytes)
            async with background(partial(self._send_unsent, link)):
                return await self._receive_all(link)
        finally:
            self._link = None
            self._watch.link_down()
            self._outbox.link_lost()
            self._probes.link_lost()
            await link.connection.close()

    async def _give_up_oversized(self, limit_bytes: int) -> None:
        for entry in self._outbox.oversized(limit_bytes):
            clip_id = entry.packet.header.clip_id
            refusal = MessageTooLarge(clip_id, len(entry.data), limit_bytes, self._hello.seeks)
            await self._answer(Result(clip_id=clip_id, error=str(refusal)))

    async def _send_unsent(self, link: Link) -> None:
        try:
            while True:
                entry = self._outbox.next_unsent(link.welcome.max_in_flight)
                if entry is None or self._goodbye is not None:
                    await self._changed.wait()
                else:
                    entry.sent_at = self._clock.now()
                    self._watch.sent(entry.packet.header.clip_id, len(entry.data), entry.sent_at)
                    await link.connection.send(entry.data)
        except LinkLost:
            await link.connection.close()

    async def _receive_all(self, link: Link) -> LinkLost:
        try:
            while True:
                if self._goodbye is not None and not self._outbox.under_way:
                    raise LinkLost(self._goodbye)
                data = await self._next(link.connection)
                await self._take(link.connection.peer, self._decoded(link.connection.peer, data))
        except LinkLost as lost:
            return lost if self._goodbye is None else LinkLost(self._goodbye)

    async def _next(self, connection: Connection) -> bytes:
        """The next message; LinkLost from a cloud that takes clips and then says nothing more of any,
        however well it answers probes. One that has said goodbye is not waited for as long."""
        while True:
            now = self._clock.now()
            answer_s = self._answer_s if self._goodbye is None else min(self._answer_s, GOODBYE_S)
            silent_s = now - max(self._outbox.oldest_sent_at(now), self._news_at)
            if silent_s < answer_s:
                with anyio.move_on_after(answer_s - silent_s):
                    return await connection.receive()
            else:
                raise LinkLost(f"{connection.peer}: took {len(self._outbox)} clips and fell silent")

    def _decoded(self, peer: str, data: bytes) -> Message:
        try:
            return decode(data, REPLY_LIMIT_BYTES)
        except MessageTooLarge:
            raise
        except ProtocolError as error:
            raise ProtocolError(f"{peer}: sent what no {self._hello.seeks} sends: {error}") from None

    async def _take(self, peer: str, message: Message) -> None:
        match message:
            case Ack():
                self._news_at = self._clock.now()
                self._watch.acknowledged(message.clip_id, self._clock.now())
                acked = self._outbox.acknowledge(message.clip_id, self._clock.now())
                if acked is not None:
                    await self._tell(acked)
            case Result():
                await self._answer(message)
            case ErrorMessage(clip_id=str(clip_id)):
                await self._answer(Result(clip_id=clip_id, error=message.message))
            case ErrorMessage():
                refused = HandshakeRefused if message.code in FOR_EVER else ProtocolError
                raise refused(f"{peer}: the {self._hello.seeks} ended the session: {message.message}")
            case Probe(reply=True):
                self._probes.answered(message.nonce, self._clock.now())
            case Bye():
                self._goodbye = f"{peer}: the {self._hello.seeks} said goodbye: {message.reason}"
                self._watch.link_down()
            case _:
                raise ProtocolError(
                    f"{peer}: sent a {message.type} message, which no {self._hello.seeks} does"
                )

    async def _tell(self, event: Event) -> None:
        """Without a turn of the loop where there is room, which is nearly always."""
        try:
            self._emit.send_nowait(event)
        except anyio.WouldBlock:
            await self._emit.send(event)

    async def _answer(self, result: Result) -> None:
        if result.clip_id not in self._outbox:
            return
        self._news_at = self._clock.now()
        self._backoff.over()
        packet = self._outbox.packet(result.clip_id)
        if packet is not None:
            # Who drains may end the events once nothing is unanswered: this one has to be out first.
            await self._tell(Answered(packet, result))
        self._outbox.answer(result.clip_id)
        self._changed.notify()


def _probe_key(nonce: int) -> str:
    """No clip's id: those have a source and a number."""
    return f"probe {nonce}"


@asynccontextmanager
async def connect_cloud(
    dial: Dial,
    hello: Hello,
    *,
    clock: Clock | None = None,
    watch: LinkWatch | None = None,
    rng: random.Random | None = None,
    patience_s: float = PATIENCE_S,
    connect_s: float = CONNECT_S,
    handshake_s: float = HANDSHAKE_S,
    answer_s: float = ANSWER_S,
    at_once: bool = True,
    most_in_flight: int = MOST_IN_FLIGHT,
) -> AsyncIterator[CloudClient]:
    """A client that is connected, and stays so while the context lasts.

    LinkLost when the first link cannot be had within `connect_s`; later ones get `patience_s` each
    outage. Not `at_once`: the first link is looked for in the background as well, and nothing waits for it.
    `watch` hears of every message. No more than `most_in_flight` clips are unanswered at once, however many
    the cloud allows. HandshakeRefused, then or later, ends it at once, unless patience is
    endless and the device was welcome before. A link on which nothing is heard for `answer_s` while clips
    wait for their answer counts as lost.
    """
    clock, rng = clock or SystemClock(), rng or random.Random()  # noqa: S311 - jitter is no secret
    client = CloudClient(
        dial,
        hello,
        clock,
        Backoff(patience_s, rng),
        watch=watch or NoWatch(),
        handshake_s=handshake_s,
        answer_s=answer_s,
        most_in_flight=most_in_flight,
    )
    with client:
        link = await client.open(Backoff(connect_s, rng)) if at_once else None
        try:
            async with background(partial(client.run, link)):
                yield client
                await client.say_bye()
        finally:
            if link is not None:
                await link.connection.close()
