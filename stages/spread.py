"""Spread: each clip goes to all parts at once; what is in when it is decided is fused to its record."""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.items import ClassScore, Packet, PartAnswer, Prediction, Ran, Status
from pipeline.signal import Signal, until
from pipeline.stage import clip_of, failed
from pipeline.worker import Worker
from scheduling.gathering import Gathering
from stages.fuse import Fuse
from stages.holder import DISPLACED, Holder

log = logging.getLogger(__name__)

MS = 1000.0
MOST_REASON = 500
MOST_TIMES = 3
UNCONNECTED, LOST, TOO_LATE = "not connected", "the link was lost", "not in time"
OVERLOAD = "overload: newer clips were waiting for every part"


@dataclass(slots=True)
class _Out:
    """A clip that has no outcome yet: who was asked, and what is known of each part."""

    packet: Packet
    began: float
    asked: dict[int, Holder]
    tokens: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    latency_ms: dict[int, dict[str, float]] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    times: int = 1

    def answers(self, num_parts: int) -> tuple[PartAnswer, ...]:
        return tuple(self._answer(part) for part in range(num_parts))

    @property
    def was_lost(self) -> bool:
        """Whether nothing but lost links kept a clip that has no deadline from its answer."""
        found = {self.missing.get(part, TOO_LATE) for part in self.asked}
        return not self.tokens and found <= {LOST} and clip_of(self.packet).deadline == math.inf

    def _answer(self, part: int) -> PartAnswer:
        if part not in self.asked:
            return PartAnswer(part + 1, missing=UNCONNECTED)
        missing = None if part in self.tokens else self.missing.get(part, TOO_LATE)
        return PartAnswer(part + 1, self.asked[part].name, self.latency_ms.get(part, {}), missing)


class Spread:
    """Hears of tokens from its holders. `run` is the stage, `records` the producer beside it; it ends when
    every clip has its record.

    Where `again` is set, a clip without a deadline that lost every link it was asked over goes out once more
    when `again` returns, `MOST_TIMES` in all; what `again` raises ends the run.
    """

    def __init__(self, gathering: Gathering, fuse: Fuse, worker: Worker, clock: Clock) -> None:
        self._gathering = gathering
        self._fuse = fuse
        self._worker = worker
        self._clock = clock
        self.again: Callable[[], Awaitable[None]] | None = None
        self._holders: list[Holder] = []
        self._out: dict[str, _Out] = {}
        self._changed = Signal()
        self._closed = False

    def add(self, holder: Holder) -> None:
        """One more who may hold a part; of those with the same part the first is asked that is not behind."""
        self._holders.append(holder)

    @property
    def held(self) -> dict[int, Holder]:
        """Who would run which part now."""
        held: dict[int, Holder] = {}
        for holder in self._holders:
            part = holder.part
            if part is not None and (part not in held or (holder.prompt and not held[part].prompt)):
                held[part] = holder
        return held

    def holders(self) -> list[Holder | None]:
        """Of each part who holds it now, None for nobody."""
        held = self.held
        return [held.get(part) for part in range(self._fuse.num_parts)]

    def end_by(self, ends: float) -> None:
        """The run is to end by then: a clip that has a token waits for no other any more."""
        self._gathering.end_by(self._clock.now(), ends)
        self._changed.notify()

    async def run(self, items: Channel[Packet | Prediction]) -> AsyncGenerator[Prediction, None]:
        """Pass records on, hand out packets."""
        async for item in items:
            if isinstance(item, Prediction):
                yield item
            else:
                self._begin(item)
        self._closed = True
        self._changed.notify()

    async def records(self) -> AsyncGenerator[Prediction, None]:
        """The record of each clip, as it is decided."""
        while self._out or not self._closed:
            due = self._gathering.next_due()
            now = self._clock.now()
            if due is not None and due[1] <= now:
                record = await self._decide(due[0])
                if record is not None:
                    yield record
            else:
                await until(self._changed, math.inf if due is None else due[1] - now, self._clock)

    def arrived(
        self, clip_id: str, part: int, token: NDArray[np.float32], latency_ms: dict[str, float]
    ) -> None:
        out = self._out.get(clip_id)
        if out is None or part not in out.asked:
            return
        if self._gathering.arrived(clip_id, part):
            if not out.tokens:
                self._gathering.first_in(self._clock.now() - out.began)
            out.tokens[part], out.latency_ms[part] = token, latency_ms
            self._changed.notify()

    def missing(self, clip_id: str, part: int, why: str) -> None:
        if clip_id in self._gathering:
            self._out[clip_id].missing[part] = why
            self._gathering.missing(clip_id, part)
            self._changed.notify()

    def lost(self, holder: Holder) -> None:
        for clip_id, out in self._out.items():
            for part, asked in out.asked.items():
                if asked is holder and part not in out.tokens:
                    self.missing(clip_id, part, LOST)

    def _begin(self, packet: Packet, times: int = 1) -> None:
        clip, held, now = clip_of(packet), self.held, self._clock.now()
        prompt = {part: holder.prompt for part, holder in held.items()}
        self._gathering.begin(clip.clip_id, prompt, now, clip.deadline)
        self._out[clip.clip_id] = _Out(packet, now, held, times=times)
        for holder in held.values():
            holder.offer(packet)
        self._changed.notify()

    async def _decide(self, clip_id: str) -> Prediction | None:
        """The record of a clip whose time has come; who has not answered it need not any more. None for one
        that is out again."""
        out, decided = self._out[clip_id], self._clock.now()
        arrived = self._gathering.decide(clip_id)
        for part, holder in out.asked.items():
            if part not in arrived:
                holder.withdraw(clip_id)
        if self.again is not None and out.was_lost and out.times < MOST_TIMES:
            await self.again()
            self._begin(out.packet, out.times + 1)
            return None
        try:
            return await self._fused(out, decided)
        finally:
            del self._out[clip_id]

    async def _fused(self, out: _Out, decided: float) -> Prediction:
        gather_ms = {"gather": (decided - out.began) * MS}
        answers = out.answers(self._fuse.num_parts)
        if not out.tokens:
            if out.asked and all(out.missing.get(part) == DISPLACED for part in out.asked):
                return self._record(out, answers, gather_ms, reason=OVERLOAD, status=Status.DROPPED)
            return self._record(out, answers, gather_ms, reason=_reason(answers))
        try:
            classes, fused_s = await self._worker.run(self._timed, out.tokens)
        except ValueError as error:
            return self._record(out, answers, gather_ms, reason=f"peers: {error}")
        except Exception as error:
            clip_id = out.packet.header.clip_id
            log.exception("clip %s: cannot be fused", clip_id, extra={"clip": clip_id})
            return failed(out.packet, f"{type(error).__name__}: {error}")
        self._gathering.fused(self._clock.now() - decided)
        return self._record(out, answers, gather_ms | {"fuse": fused_s * MS}, classes)

    def _timed(self, tokens: Mapping[int, NDArray[np.float32]]) -> tuple[tuple[ClassScore, ...], float]:
        """The classes, and how many s they took on this thread."""
        began = self._clock.now()
        return self._fuse(tokens), self._clock.now() - began

    def _record(
        self,
        out: _Out,
        answers: tuple[PartAnswer, ...],
        latency_ms: dict[str, float],
        classes: tuple[ClassScore, ...] = (),
        *,
        reason: str | None = None,
        status: Status = Status.FAILED,
    ) -> Prediction:
        packet = out.packet
        crossed = sum("uplink" in answer.latency_ms for answer in answers)
        return Prediction.of(
            clip_of(packet),
            Status.OK if reason is None else status,
            reason=reason,
            classes=classes,
            plan=packet.plan,
            ran=Ran.PEERS,
            latency_ms={**packet.latency_ms, **latency_ms},
            sent_bytes=crossed * len(packet.payload),
            parts=answers,
        )


def _reason(answers: tuple[PartAnswer, ...]) -> str:
    each = "; ".join(f"part {answer.part} {answer.missing}" for answer in answers)
    return f"peers: no part answered: {each}"[:MOST_REASON]
