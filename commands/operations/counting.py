"""Counters and histograms: plain numbers, bounded, no I/O."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

OTHER = "other"
MOST_KEYS = 64

Labels = tuple[str, ...]


class Tally:
    """Counts by labels; those that are `known` are there from the start. Once there are `most` of them, new
    ones count as "other": whatever a long run or a far end brings, it does not grow."""

    def __init__(self, known: Iterable[Labels] = (), most: int = MOST_KEYS) -> None:
        self._counts: dict[Labels, int] = dict.fromkeys(known, 0)
        self._most = most

    def add(self, *labels: str, number: int = 1) -> None:
        """Count `number` more of these labels."""
        if labels not in self._counts and len(self._counts) >= self._most:
            labels = (OTHER,) * len(labels)
        self._counts[labels] = self._counts.get(labels, 0) + number

    def __getitem__(self, labels: Labels) -> int:
        return self._counts.get(labels, 0)

    def __iter__(self) -> Iterator[tuple[Labels, int]]:
        return iter(self._counts.items())


class Histogram:
    """How many values were at most each of `bounds`, which rise, and what they add up to."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Take in one value; what is not a number is passed over."""
        if value == value:  # noqa: PLR0124 (NaN alone is not)
            self._counts[bisect_left(self._bounds, value)] += 1
            self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound as text, with how many values were no greater; the last is +Inf."""
        total, found = 0, []
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound is None else f"{bound:g}", float(total)))
        return found
