"""One clip, one record: who was admitted, who has ended, and in which order records are released."""

import math
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from pipeline.items import Clip, Prediction, Status

MS = 1000.0


@dataclass(slots=True)
class _Owed:
    """`blank` is the record of the clip as long as nothing is known of its end."""

    blank: Prediction
    ready_at: float
    deadline: float

    @property
    def clip_id(self) -> str:
        return self.blank.clip_id


@dataclass(slots=True)
class _Queue:
    """The admitted clips of one source in their order, and the records that wait for their turn."""

    admitted: deque[_Owed] = field(default_factory=deque)
    settled: dict[str, Prediction] = field(default_factory=dict)


class Ledger:
    """Takes every clip in once and lets exactly one record out for it, in order per source. Only a clip
    that misses its deadline loses its turn: those behind it need not be late because of it."""

    def __init__(self, sla_ms: float | None = None) -> None:
        self._sla_ms = sla_ms
        self._queues: dict[str, _Queue] = {}
        self._open: dict[str, _Owed] = {}
        self._passed: dict[str, _Owed] = {}
        self.admitted = 0
        self.counts: Counter[Status] = Counter()

    def admit(self, clip: Clip) -> None:
        """Take in a clip that from now on is owed a record."""
        self._admit(_Owed(Prediction.of(clip, Status.FAILED), clip.ready_at, clip.deadline))

    def restart(self, clip: Clip) -> None:
        """From now on count the latency of an admitted clip from its `ready_at`, to its `deadline`."""
        owed = self._open[clip.clip_id]
        owed.ready_at, owed.deadline = clip.ready_at, clip.deadline

    def admit_record(self, record: Prediction, now: float) -> None:
        """Take in a record that no clip stands behind, such as that of a source that broke."""
        self._admit(_Owed(record, now, math.inf))

    def _admit(self, owed: _Owed) -> None:
        if owed.clip_id in self._open:
            raise ValueError(f"clip {owed.clip_id} was admitted twice")
        self._queues.setdefault(owed.blank.source, _Queue()).admitted.append(owed)
        self._open[owed.clip_id] = owed
        self.admitted += 1

    def settle(self, prediction: Prediction, now: float) -> list[Prediction]:
        """Take in a clip's first record; returns the records whose turn it is, stamped with `now`.

        A second record of a clip, or one of a clip never admitted, changes nothing.
        """
        if self._open.pop(prediction.clip_id, None) is None:
            return []
        passed = self._passed.pop(prediction.clip_id, None)
        if passed is not None:
            return [self._stamp(prediction, passed, now)]
        queue = self._queues[prediction.source]
        queue.settled[prediction.clip_id] = prediction
        return self._release(queue, now)

    def overdue(self, now: float) -> list[Prediction]:
        """The records that waited for a clip whose deadline is over, and need not any more."""
        return [record for queue in self._queues.values() for record in self._release(queue, now)]

    def next_overdue(self) -> float:
        """When there is something `overdue`, should nothing be settled before."""
        first = [queue.admitted[0].deadline for queue in self._queues.values() if queue.settled]
        return min(first, default=math.inf)

    def _release(self, queue: _Queue, now: float) -> list[Prediction]:
        released = []
        while queue.settled:
            owed = queue.admitted[0]
            ready = queue.settled.pop(owed.clip_id, None)
            if ready is not None:
                released.append(self._stamp(ready, owed, now))
            elif owed.deadline < now:
                self._passed[owed.clip_id] = owed
            else:
                break
            queue.admitted.popleft()
        return released

    def unfinished(self, reason: str) -> list[Prediction]:
        """A failed record for every clip that still has none, for `settle` to take in."""
        return [replace(owed.blank, reason=owed.blank.reason or reason) for owed in self._open.values()]

    def _stamp(self, prediction: Prediction, owed: _Owed, now: float) -> Prediction:
        total_ms = (now - owed.ready_at) * MS
        late = prediction.status is Status.OK and now > owed.deadline
        self.counts[Status.LATE if late else prediction.status] += 1
        return replace(
            prediction,
            status=Status.LATE if late else prediction.status,
            reason=f"{total_ms:.0f} ms, promised {self._sla_ms:.0f} ms" if late else prediction.reason,
            latency_ms={**prediction.latency_ms, "total": total_ms},
            sla_ms=self._sla_ms,
        )

    @property
    def unsettled(self) -> int:
        """How many admitted clips still have no record."""
        return len(self._open)

    @property
    def balanced(self) -> bool:
        """Whether every admitted clip has been released with exactly one record."""
        return self.admitted == self.counts.total()
