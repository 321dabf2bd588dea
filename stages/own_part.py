"""The part that the device holds itself."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import Clock
from pipeline.items import Packet
from pipeline.signal import Signal
from pipeline.stage import clip_of
from pipeline.worker import Worker
from stages.holder import DISPLACED, Hearer
from stages.part_service import PartService

log = logging.getLogger(__name__)

MS = 1000.0
HERE = "here"


class OwnPart:
    """Runs one clip at a time on the model thread, the newest that waits; `ran` hears how many s it took."""

    def __init__(
        self,
        service: PartService,
        part: int,
        hearer: Hearer,
        *,
        worker: Worker,
        clock: Clock,
        ran: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._service = service
        self._part = part
        self._hearer = hearer
        self._worker = worker
        self._clock = clock
        self._ran = ran
        self._next: tuple[Packet, float] | None = None
        self._running: str | None = None
        self._overdue = False
        self._changed = Signal()

    @property
    def name(self) -> str:
        return HERE

    @property
    def part(self) -> int | None:
        return self._part

    @property
    def prompt(self) -> bool:
        return not self._overdue

    def offer(self, packet: Packet) -> None:
        if self._next is not None:
            self._hearer.missing(self._next[0].header.clip_id, self._part, DISPLACED)
        self._next = packet, self._clock.now()
        self._changed.notify()

    def withdraw(self, clip_id: str) -> None:
        if self._next is not None and self._next[0].header.clip_id == clip_id:
            self._next = None
        self._overdue = self._overdue or clip_id == self._running

    async def run(self) -> None:
        """Run what is offered, for ever."""
        while True:
            if self._next is None:
                await self._changed.wait()
            else:
                (packet, offered_at), self._next = self._next, None
                await self._infer(packet, offered_at)

    async def _infer(self, packet: Packet, offered_at: float) -> None:
        clip_id = self._running = packet.header.clip_id
        try:
            token, started, ended = await self._worker.run(self._run, packet)
        except Exception as error:
            log.exception("clip %s: its part here", clip_id, extra={"clip": clip_id})
            self._hearer.missing(clip_id, self._part, f"{type(error).__name__}: {error}")
        else:
            self._ran(ended - started)
            parts = {"queue": (started - offered_at) * MS, "tail": (ended - started) * MS}
            self._hearer.arrived(clip_id, self._part, token, parts)
        finally:
            self._running, self._overdue = None, False

    def _run(self, packet: Packet) -> tuple[NDArray[np.float32], float, float]:
        started = self._clock.now()
        (token,) = self._service.tokens(clip_of(packet).frames[None])
        return token, started, self._clock.now()
