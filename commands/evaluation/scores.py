"""How good each cell's answers are, with intervals that say how far to trust them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commands.evaluation.answers import Answer
from commands.evaluation.cells import Cell

Z95 = 1.959964
TOP5 = 5


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `shown`."""

    hits: int = 0
    shown: int = 0

    @property
    def value(self) -> float | None:
        """As a fraction; None of nothing."""
        return self.hits / self.shown if self.shown else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval as fractions. Wilson, 1927."""
        if not self.shown:
            return 0.0, 1.0
        n, p = self.shown, self.hits / self.shown
        spread = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
        low, high = (p + Z95**2 / (2 * n) - spread), (p + Z95**2 / (2 * n) + spread)
        return max(0.0, low / (1 + Z95**2 / n)), min(1.0, high / (1 + Z95**2 / n))

    def __add__(self, other: "Share") -> "Share":
        return Share(self.hits + other.hits, self.shown + other.shown)


@dataclass(frozen=True, slots=True)
class Score:
    """A cell over all examples: `agreement` with the unmerged float32 model, the truth within the best 1
    and 5 where it is known, and the mean bytes that crossed the link for one clip."""

    cell: Cell
    agreement: Share
    top1: Share
    top5: Share
    num_bytes: float


class Tally:
    """Counts answers as they come, cell by cell; of the answers themselves only the names are kept.

    `done` are the examples that were answered, `failed` the errors of those that were not, by name. An
    example that failed may be answered later; what has been answered is counted once.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = tuple(cells)
        self._counts = np.zeros((len(self._cells), 4), np.int64)  # same, top 1, top 5, bytes
        self._labelled = 0
        self.done: set[str] = set()
        self.failed: dict[str, str] = {}

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        if answer.name in self.done:
            return
        if answer.error is not None:
            self.failed[answer.name] = answer.error
            return
        self.failed.pop(answer.name, None)
        self.done.add(answer.name)
        truth = answer.class_id
        self._labelled += truth is not None
        self._counts += [
            (
                best[:1] == answer.reference[:1],
                truth is not None and truth in best[:1],
                truth is not None and truth in best[:TOP5],
                num_bytes,
            )
            for best, num_bytes in zip(answer.best, answer.num_bytes, strict=True)
        ]

    def scores(self) -> list[Score]:
        """The score of each cell."""
        shown = len(self.done)
        return [
            Score(
                cell,
                agreement=Share(same, shown),
                top1=Share(top1, self._labelled),
                top5=Share(top5, self._labelled),
                num_bytes=num_bytes / max(1, shown),
            )
            for cell, (same, top1, top5, num_bytes) in zip(self._cells, self._counts.tolist(), strict=True)
        ]
