"""Tail inference: the layers behind the cut, on the cloud's model thread."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.worker import Worker
from stages.core import Core
from stages.receive import Asker, Ready, Reply
from transport.messages import Result

log = logging.getLogger(__name__)

MS = 1000.0


@dataclass(frozen=True, slots=True)
class Inferred:
    """A clip's logits [classes], or its token [D] where a part runs."""

    asker: Asker
    clip_id: str
    output: NDArray[np.float32]
    durations_ms: dict[str, float]


class TailInfer:
    """Runs what waits together and shares a key as one batch of at most `max_batch` clips; `on_batch` hears
    how many."""

    def __init__(
        self,
        core: Core,
        worker: Worker,
        clock: Clock,
        max_batch: int = 8,
        on_batch: Callable[[int], None] = lambda clips: None,
    ) -> None:
        self._core = core
        self._worker = worker
        self._clock = clock
        self._max_batch = max_batch
        self._on_batch = on_batch

    async def run(self, items: Channel[Ready | Reply]) -> AsyncGenerator[Inferred | Reply, None]:
        """Infer everything that comes; an error of the model is the answer of its batch alone."""
        async for first in items:
            batches: dict[object, list[Ready]] = {}
            for item in (first, *items.waiting(self._max_batch - 1)):
                if isinstance(item, Reply):
                    yield item
                else:
                    batches.setdefault(item.decoded.batch_key, []).append(item)
            for batch in batches.values():
                for outcome in await self._infer(batch):
                    yield outcome

    async def _infer(self, batch: Sequence[Ready]) -> Sequence[Inferred | Reply]:
        self._on_batch(len(batch))
        try:
            return await self._worker.run(self._run, batch)
        except Exception as error:
            log.exception("batch of %d clips", len(batch))
            reason = f"{type(error).__name__}: {error}"[:500]
            return [
                Reply(item.asker, Result(clip_id=item.decoded.header.clip_id, error=reason)) for item in batch
            ]

    def _run(self, batch: Sequence[Ready]) -> Sequence[Inferred]:
        started = self._clock.now()
        outputs = self._core.run([item.decoded for item in batch])
        tail_ms = (self._clock.now() - started) * MS
        return [
            Inferred(item.asker, item.decoded.header.clip_id, row, self._durations(item, started, tail_ms))
            for item, row in zip(batch, outputs, strict=True)
        ]

    def _durations(self, item: Ready, started: float, tail_ms: float) -> dict[str, float]:
        queue_ms = (started - item.arrived_at) * MS - item.durations_ms["decode"]
        return {"queue": max(0.0, queue_ms), **item.durations_ms, "tail": tail_ms}
