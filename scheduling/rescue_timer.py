"""When the device has to begin to finish a clip by itself, so that it still keeps its promise."""

import math
from dataclasses import dataclass

from scheduling.rescue import LocalFinish, LocalFinishes

MS = 1000.0
# What a turn of the loop and an unsteady clock may take of the time for the lightest way.
SPARE_S = 0.02


@dataclass(slots=True)
class _Kept:
    """A clip that is out: where it was cut, its tokens there, its deadline, when its answer is overdue, and
    whether its link is gone."""

    split: int
    tokens: int
    deadline: float
    overdue_at: float
    lost: bool = False


class RescueTimer:
    """Follows the clips that are out. All times are seconds of one monotonic clock.

    The device does one thing after the other, so the clips are lined up backwards from their deadlines, each
    finished in the fastest way and `margin_ms` early: that is the last moment. The first in line, once its
    answer is overdue, is due when there is just time for its lightest way, which loses no accuracy. Without
    `finishes` nothing is known of how long that takes, and only a lost link makes a clip due.
    """

    def __init__(self, finishes: LocalFinishes | None, margin_ms: float) -> None:
        self._finishes = finishes
        self._margin_s = margin_ms / MS
        self._kept: dict[str, _Kept] = {}

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._kept

    def keep(
        self, clip_id: str, split: int, tokens: int, deadline: float, overdue_at: float = math.inf
    ) -> None:
        """A clip leaves the device with `tokens` tokens after layer `split` (0: as pixels); from `overdue_at`
        on its answer is no longer to be counted on."""
        self._kept[clip_id] = _Kept(split, tokens, deadline, overdue_at)

    def forget(self, clip_id: str) -> None:
        """A clip is out, or taken in hand."""
        self._kept.pop(clip_id, None)

    def lose(self, clip_id: str | None = None) -> None:
        """The link is gone: this clip, or each, is due at once."""
        for kept_id, kept in self._kept.items():
            kept.lost = kept.lost or clip_id in (None, kept_id)

    def next_due(self, factor: float, ahead_ms: float = 0.0) -> tuple[str, float] | None:
        """The clip to begin with next, and when; None where none has such a time.

        The device is `factor` times slower than its profile, and may be busy for `ahead_ms` when asked.
        """
        starts = self._starts(factor, ahead_ms / MS)
        if starts:
            first = min(starts, key=self._urgency)
            unhurried_s = self._unhurried(first, factor) - ahead_ms / MS
            starts[first] = min(starts[first], max(unhurried_s, self._kept[first].overdue_at))
        due = [
            (-math.inf if self._kept[clip_id].lost else start_s, *self._urgency(clip_id))
            for clip_id, start_s in starts.items()
        ]
        start_s, _, clip_id = min(due, default=(math.inf, 0.0, ""))
        return None if start_s == math.inf else (clip_id, start_s)

    def way(self, clip_id: str, now: float, factor: float) -> LocalFinish | None:
        """The lightest pruning that leaves this clip, and those with a later deadline, in time; None for the
        plan's own, where there is no hurry or nothing is known."""
        kept = self._kept[clip_id]
        if self._finishes is None or kept.deadline == math.inf:
            return None
        budget_ms = (self._end(clip_id, factor) - now) * MS / factor
        return self._finishes.lightest(kept.split, kept.tokens, budget_ms)

    def _urgency(self, clip_id: str) -> tuple[float, str]:
        return self._kept[clip_id].deadline, clip_id

    def _unhurried(self, clip_id: str, factor: float) -> float:
        """When there is just time for the lightest way."""
        if self._finishes is None:
            return math.inf
        kept = self._kept[clip_id]
        lightest_s = self._finishes.after(kept.split, kept.tokens)[0].ms * factor / MS
        return self._end(clip_id, factor) - lightest_s - SPARE_S

    def _end(self, clip_id: str, factor: float) -> float:
        """When this clip has to be done with, so that those after it can be in time."""
        starts = self._starts(factor)
        after = [starts[other] for other in starts if self._urgency(other) > self._urgency(clip_id)]
        return min([self._kept[clip_id].deadline - self._margin_s, *after])

    def _starts(self, factor: float, ahead_s: float = 0.0) -> dict[str, float]:
        """The last moment to begin with each clip, `ahead_s` early, one after the other in the order of
        their deadlines."""
        starts: dict[str, float] = {}
        next_s = math.inf
        for clip_id in sorted(self._kept, key=self._urgency, reverse=True):
            if self._finishes is not None:
                kept = self._kept[clip_id]
                fastest_s = self._finishes.fastest_ms(kept.split, kept.tokens) * factor / MS
                next_s = min(kept.deadline - self._margin_s, next_s) - fastest_s
            starts[clip_id] = next_s - ahead_s
        return starts
