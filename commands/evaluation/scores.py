"""How good each cell's answers are, with intervals that say how far to trust them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def scores(cells: Sequence[Cell], answers: Iterable[Answer]) -> list[Score]:
    """The score of each cell over the answers that are no errors."""
    read = [answer for answer in answers if answer.error is None]
    return [_score(cell, position, read) for position, cell in enumerate(cells)]


def _score(cell: Cell, position: int, answers: Sequence[Answer]) -> Score:
    best = [answer.best[position] for answer in answers]
    truths = [
        (ids, answer.class_id)
        for ids, answer in zip(best, answers, strict=True)
        if answer.class_id is not None
    ]
    return Score(
        cell=cell,
        agreement=Share(
            sum(ids[:1] == answer.reference[:1] for ids, answer in zip(best, answers, strict=True)),
            len(answers),
        ),
        top1=Share(sum(truth in ids[:1] for ids, truth in truths), len(truths)),
        top5=Share(sum(truth in ids[:TOP5] for ids, truth in truths), len(truths)),
        num_bytes=sum(answer.num_bytes[position] for answer in answers) / max(1, len(answers)),
    )
