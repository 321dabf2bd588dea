"""Rescue: the device finishes a clip by itself when its answer would come too late, or not at all."""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import anyio

from pipeline.clock import Clock
from pipeline.items import Features, Plan, Planned, Prediction
from pipeline.signal import Signal, until
from pipeline.stage import failed
from pipeline.worker import Worker
from scheduling.rescue_timer import RescueTimer
from scheduling.situation import Situation
from stages.head_infer import HeadInfer

log = logging.getLogger(__name__)

MS = 1000.0
MOST_BYTES = 256 * 2**20
AWAY = ("encode", "link", "uplink", "queue", "decode", "tail", "downlink")
OVERDUE = 2.0


@dataclass(slots=True)
class _Kept:
    features: Features
    scope: anyio.CancelScope | None = None
    sent: bool = False

    @property
    def num_bytes(self) -> int:
        return self.features.array.nbytes


class Rescue:
    """Keeps the features of clips that are out, `most_bytes` of them at most, and watches their deadlines.

    `records` is a producer of the pipeline beside its stages; the ledger takes whichever record of a clip
    comes first. `withdraw` tells whoever sends that a clip's answer is no longer waited for.
    """

    def __init__(
        self,
        timer: RescueTimer,
        head: HeadInfer,
        worker: Worker,
        situation: Situation,
        clock: Clock,
        *,
        withdraw: Callable[[str], None],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._timer = timer
        self._head = head
        self._worker = worker
        self._situation = situation
        self._clock = clock
        self._withdraw = withdraw
        self._most_bytes = most_bytes
        self._kept: dict[str, _Kept] = {}
        self._coming: set[str] = set()
        self._in_hand: set[str] = set()
        self._num_bytes = 0
        self._changed = Signal()
        self._closed = False

    @property
    def num_bytes(self) -> int:
        """What the kept features take."""
        return self._num_bytes

    def keeping(
        self, head: Callable[[Planned], Awaitable[Features | Prediction]]
    ) -> Callable[[Planned], Awaitable[Features | Prediction]]:
        """`head`, whose features are kept from then on."""

        async def run(planned: Planned) -> Features | Prediction:
            outcome = await head(planned)
            if isinstance(outcome, Features):
                self.keep(outcome)
            return outcome

        return run

    def keep(self, features: Features) -> None:
        """A clip's head is done; from now on it can be finished here, if there is room for its features."""
        clip, plan = features.clip, features.plan
        if self._num_bytes + features.array.nbytes > self._most_bytes:
            said = "clip %s: no room to keep its features, it cannot be rescued"
            log.warning(said, clip.clip_id, extra={"clip": clip.clip_id})
            return
        tokens = len(features.array) if plan.split > 0 else self._head.num_tokens
        self._kept[clip.clip_id] = _Kept(features)
        self._coming.add(clip.clip_id)
        self._num_bytes += features.array.nbytes
        self._timer.keep(clip.clip_id, plan.split, tokens, clip.deadline, self._overdue_at(plan))
        self._changed.notify()

    def over(self, clip_id: str) -> None:
        """The clip has its record."""
        self._in_hand.discard(clip_id)
        self._drop(clip_id)

    def lost(self, clip_id: str | None = None) -> None:
        """There is no link for this clip; without a name, for any."""
        self._timer.lose(clip_id)
        self._changed.notify()

    def holds(self, clip_id: str) -> bool:
        """Whether the clip can be finished here, or is being."""
        return clip_id in self._kept

    def sending(self, clip_id: str) -> anyio.CancelScope | None:
        """A scope in which to hand the clip in, cancelled when it is taken in hand here before that is done;
        None when that has happened already. Asked once for every clip."""
        kept_once = clip_id in self._coming
        self._coming.discard(clip_id)
        if clip_id in self._in_hand or (kept_once and clip_id not in self._kept):
            return None
        scope = anyio.CancelScope()
        kept = self._kept.get(clip_id)
        if kept is not None:
            kept.scope = scope
        return scope

    def sent(self, clip_id: str) -> None:
        """The clip has been handed in."""
        kept = self._kept.get(clip_id)
        if kept is not None:
            kept.scope, kept.sent = None, True

    def close(self) -> None:
        """No more clips will come: `records` ends once none is kept."""
        self._closed = True
        self._changed.notify()

    async def records(self) -> AsyncGenerator[Prediction, None]:
        """The records of clips that were finished here."""
        while self._kept or not self._closed:
            clip_id = await self._next_due()
            record = None if clip_id is None else await self._finish(clip_id)
            if record is not None:
                yield record

    async def _next_due(self) -> str | None:
        """The clip whose time has come; None after any change, so that it is looked at anew."""
        ahead_ms = self._situation.backlog.longest_head_ms() + self._situation.overrun.ms
        due = self._timer.next_due(self._situation.device.factor, ahead_ms)
        now = self._clock.now()
        if due is not None and due[1] <= now:
            return due[0]
        await until(self._changed, math.inf if due is None else due[1] - now, self._clock)
        return None

    async def _finish(self, clip_id: str) -> Prediction | None:
        factor = self._situation.device.factor
        way = self._timer.way(clip_id, self._clock.now() + self._situation.overrun.ms / MS, factor)
        expected_ms = 0.0 if way is None else way.ms * factor
        kept = self._kept[clip_id]
        self._in_hand.add(clip_id)
        self._timer.forget(clip_id)
        if kept.scope is not None:
            kept.scope.cancel()
        how = "unmerged" if way is None else way.pruning
        log.info("clip %s: finished here, %s", clip_id, how, extra={"clip": clip_id})
        self._situation.finishing(clip_id, expected_ms, self._clock.now())
        rescue_ms = 0.0
        try:
            pruning = None if way is None else way.pruning
            record = await self._worker.run(self._head.finish, kept.features, pruning)
            rescue_ms = record.latency_ms.get("rescue", 0.0)
        except Exception as error:
            log.exception("clip %s: cannot be finished here", clip_id, extra={"clip": clip_id})
            self._drop(clip_id)
            return None if kept.sent else failed(kept.features, f"{type(error).__name__}: {error}")
        finally:
            self._situation.finished_here(clip_id, expected_ms, rescue_ms, self._clock.now())
        if kept.sent:
            self._withdraw(clip_id)
        self._situation.answered(clip_id, None, {}, self._clock.now())
        self._drop(clip_id)
        return record

    def _overdue_at(self, plan: Plan) -> float:
        """When the answer to a clip that leaves now will have taken so long that it hardly comes at all."""
        away_ms = sum(ms for part, ms in plan.expected_ms.items() if part in AWAY)
        return self._clock.now() + OVERDUE * away_ms / MS if away_ms > 0 else math.inf

    def _drop(self, clip_id: str) -> None:
        self._timer.forget(clip_id)
        kept = self._kept.pop(clip_id, None)
        if kept is not None:
            self._num_bytes -= kept.num_bytes
            self._changed.notify()
