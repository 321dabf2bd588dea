"""When the device has to begin to finish a clip by itself, so that it still keeps its promise."""

import math
from dataclasses import dataclass

from scheduling.rescue import LocalFinish, LocalFinishes

MS = 1000.0


@dataclass(slots=True)
class _Kept:
    """A clip that is out: where it was cut, its tokens there, its deadline, and whether its link is gone."""

    split: int
    tokens: int
    deadline: float
    lost: bool = False


class RescueTimer:
    """Follows the clips that are out. All times are seconds of one monotonic clock.

    The device does one thing after the other, so the clips are lined up backwards from their deadlines, each
    finished in the fastest way and `margin_ms` early. Without `finishes` nothing is known of how long that
    takes, and only a lost link makes a clip due.
    """

    def __init__(self, finishes: LocalFinishes | None, margin_ms: float) -> None:
        self._finishes = finishes
        self._margin_s = margin_ms / MS
        self._kept: dict[str, _Kept] = {}

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._kept

    def keep(self, clip_id: str, split: int, tokens: int, deadline: float) -> None:
        """A clip leaves the device with `tokens` tokens after layer `split` (0: as pixels)."""
        self._kept[clip_id] = _Kept(split, tokens, deadline)

    def forget(self, clip_id: str) -> None:
        """A clip is out, or taken in hand."""
        self._kept.pop(clip_id, None)

    def lose(self, clip_id: str | None = None) -> None:
        """The link is gone: this clip, or each, is due at once."""
        for kept_id, kept in self._kept.items():
            kept.lost = kept.lost or clip_id in (None, kept_id)

    def next_due(self, factor: float, ahead_ms: float = 0.0) -> tuple[str, float] | None:
        """The clip to begin with next, and the latest time for it; None where none has one.

        The device is `factor` times slower than its profile, and may be busy for `ahead_ms` when asked.
        """
        starts = self._starts(factor)
        due = [
            (-math.inf if kept.lost else starts[clip_id], kept.deadline, clip_id)
            for clip_id, kept in self._kept.items()
        ]
        start_s, _, clip_id = min(due, default=(math.inf, 0.0, ""))
        return None if start_s == math.inf else (clip_id, start_s - ahead_ms / MS)

    def way(self, clip_id: str, now: float, factor: float) -> LocalFinish | None:
        """The lightest pruning that leaves this clip, and those with a later deadline, in time; None for the
        plan's own, where there is no hurry or nothing is known."""
        kept = self._kept[clip_id]
        if self._finishes is None or kept.deadline == math.inf:
            return None
        starts = self._starts(factor)
        later = [starts[other] for other, each in self._kept.items() if each.deadline > kept.deadline]
        end_s = min([kept.deadline - self._margin_s, *later])
        return self._finishes.lightest(kept.split, kept.tokens, (end_s - now) * MS / factor)

    def _starts(self, factor: float) -> dict[str, float]:
        """The latest begin of each clip, one after the other in the order of their deadlines."""
        starts: dict[str, float] = {}
        next_s = math.inf
        for clip_id, kept in sorted(self._kept.items(), key=lambda item: item[1].deadline, reverse=True):
            if self._finishes is not None:
                fastest_s = self._finishes.fastest_ms(kept.split, kept.tokens) * factor / MS
                next_s = min(kept.deadline - self._margin_s, next_s) - fastest_s
            starts[clip_id] = next_s
        return starts
