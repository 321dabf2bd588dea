"""The link to one peer: clips go out newest first, tokens come back, and a lost link is mended."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from pipeline.background import background
from pipeline.clock import Clock
from pipeline.errors import JanusError, LinkError, MessageTooLarge, ProtocolError
from pipeline.items import Packet
from pipeline.signal import Signal
from stages.holder import DISPLACED, Hearer
from stages.pack_token import unpack_token
from stages.send import CLOUD_PARTS
from transport.client import CloudClient
from transport.events import Acked, Answered, Event, LinkDown, LinkUp

log = logging.getLogger(__name__)

MS = 1000.0
UNDER_WAY = 2
AGAIN_S = 2.0

Connect = Callable[[], AbstractAsyncContextManager[CloudClient]]


class PeerLink:
    """One peer, whichever of the parts with these `digests`, of `dims` channels, it serves. One that takes
    clips of another `shape` [T, H, W, 3] than those of the run, all of which it would refuse, holds none.

    At most `waiting` clips wait in front of those that are under way; one too many displaces the oldest.
    Runs until cancelled: a peer that refuses is asked again.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        *,
        digests: Sequence[str],
        dims: Sequence[int],
        shape: Sequence[int],
        hearer: Hearer,
        clock: Clock,
        waiting: int = 1,
    ) -> None:
        self._name = name
        self._connect = connect
        self._digests = list(digests)
        self._dims = dims
        self._shape = tuple(shape)
        self._hearer = hearer
        self._clock = clock
        self._most = waiting
        self._waiting: deque[Packet] = deque()
        self._changed = Signal()
        self._client: CloudClient | None = None
        self._served = 0
        self._rtt_ms = 0.0
        self._uplink_ms: dict[str, float] = {}
        self._said = ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def part(self) -> int | None:
        client = self._client
        if client is None or not client.connected or client.welcome.shape != self._shape:
            return None
        return self._digests.index(client.welcome.digest)

    @property
    def prompt(self) -> bool:
        return self._client is not None and not self._client.overdue

    def offer(self, packet: Packet) -> None:
        self._waiting.append(packet)
        if len(self._waiting) > self._most:
            self._miss(self._waiting.popleft(), DISPLACED)
        self._changed.notify()

    def withdraw(self, clip_id: str) -> None:
        self._waiting = deque(packet for packet in self._waiting if _clip_id(packet) != clip_id)
        self._uplink_ms.pop(clip_id, None)
        if self._client is not None:
            self._client.withdraw(clip_id)

    async def run(self) -> None:
        """Keep the link, for ever."""
        while True:
            try:
                async with self._connect() as client:
                    self._client = client
                    async with background(partial(self._send, client)):
                        async for event in client.events():
                            self._hear(event)
            except JanusError as error:
                self._complain(str(error))
            finally:
                self._client = None
                self._uplink_ms.clear()
                self._lose()
            await self._clock.sleep(AGAIN_S)

    async def _send(self, client: CloudClient) -> None:
        try:
            while True:
                await client.room()
                if self._waiting:
                    await self._submit(client, self._waiting.popleft())
                else:
                    await self._changed.wait()
        except LinkError:
            return  # whoever reads the events hears of it

    async def _submit(self, client: CloudClient, packet: Packet) -> None:
        self._uplink_ms[_clip_id(packet)] = 0.0
        try:
            await client.submit(packet)
        except (MessageTooLarge, ProtocolError) as error:
            self._uplink_ms.pop(_clip_id(packet), None)
            self._miss(packet, str(error))

    def _miss(self, packet: Packet, why: str) -> None:
        part = self.part
        self._hearer.missing(_clip_id(packet), self._served if part is None else part, why)

    def _hear(self, event: Event) -> None:
        match event:
            case LinkUp():
                self._served = self._digests.index(event.welcome.digest)
                self._rtt_ms = event.rtt_s * MS
                self._greet(event)
            case LinkDown():
                self._complain(event.reason)
                self._lose()
            case Acked() if event.clip_id in self._uplink_ms:
                self._uplink_ms[event.clip_id] = max(0.0, event.seconds * MS - self._rtt_ms / 2)
            case Answered():
                self._take(event)

    def _greet(self, up: LinkUp) -> None:
        shape = up.welcome.shape
        if shape != self._shape:
            takes = f"takes clips of shape {list(shape or ())}"
            self._complain(f"{up.peer}: {takes}, those of this run are of {list(self._shape)}")
            return
        self._said = ""
        fields = {"peer": up.peer}
        log.log(up.log_level, "%s: serves part %d", up.peer, self._served + 1, extra=fields)

    def _take(self, answered: Answered) -> None:
        result, part = answered.result, self._served
        uplink = {"uplink": self._uplink_ms.pop(result.clip_id, 0.0)}
        peers = {name: ms for name, ms in result.durations_ms.items() if name in CLOUD_PARTS}
        try:
            if result.error is not None:
                raise ProtocolError(result.error)
            token = unpack_token(result.payload, self._dims[part])
        except ProtocolError as error:
            self._hearer.missing(result.clip_id, part, str(error))
        else:
            self._hearer.arrived(result.clip_id, part, token, uplink | peers)

    def _lose(self) -> None:
        self._waiting.clear()
        self._hearer.lost(self)

    def _complain(self, line: str) -> None:
        if line != self._said:
            log.warning("%s; going on without its part", line)
        self._said = line


def _clip_id(packet: Packet) -> str:
    return packet.header.clip_id
