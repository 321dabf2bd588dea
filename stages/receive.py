"""Receive: packets of all sessions, checked and decoded."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.errors import JanusError
from pipeline.items import Packet
from pipeline.worker import Worker
from stages.core import Core
from stages.tail_service import Decoded
from transport.codecs import is_brief
from transport.messages import Result

log = logging.getLogger(__name__)

MS = 1000.0


class Asker(Protocol):
    """Whoever sent a clip and waits for its result."""

    async def send_result(self, result: Result) -> bool: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet as it came in from `asker`."""

    asker: Asker
    packet: Packet
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Decoded features that wait for the model."""

    asker: Asker
    decoded: Decoded
    arrived_at: float
    durations_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to `asker`."""

    asker: Asker
    result: Result


class Receive:
    """Decodes packets on the codec thread; one that does not decode is answered with its error.

    A brief payload is decoded on the spot: the way to a thread takes longer.
    """

    def __init__(self, core: Core, worker: Worker, clock: Clock) -> None:
        self._core = core
        self._worker = worker
        self._clock = clock

    async def run(self, items: Channel[Arrival]) -> AsyncGenerator[Ready | Reply, None]:
        """Decode each arrival in turn."""
        async for arrival in items:
            yield await self._attempt(arrival)

    async def _attempt(self, arrival: Arrival) -> Ready | Reply:
        clip_id = arrival.packet.header.clip_id
        try:
            if is_brief(arrival.packet.header.codec, len(arrival.packet.payload)):
                return self._decode(arrival)
            return await self._worker.run(self._decode, arrival)
        except JanusError as error:
            reason = str(error)
        except Exception as error:
            log.exception("clip %s", clip_id, extra={"clip": clip_id})
            reason = f"{type(error).__name__}: {error}"
        return Reply(arrival.asker, Result(clip_id=clip_id, error=reason[:500]))

    def _decode(self, arrival: Arrival) -> Ready:
        started = self._clock.now()
        decoded = self._core.decode(arrival.packet)
        decode_ms = (self._clock.now() - started) * MS
        return Ready(arrival.asker, decoded, arrival.arrived_at, {"decode": decode_ms})
