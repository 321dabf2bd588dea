"""An evaluation's result: a row for each pruning and codec, and which of them another one beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from commands.evaluation.scores import Score, Share
from pipeline.items import Pruning
from scheduling.families import work
from transport.codecs import get_codec

TOP1, AGREEMENT = "top1", "agreement"


@dataclass(frozen=True, slots=True)
class Row:
    """A pruning and a codec over all splits measured; codec None: nothing is encoded.

    `work` is the mean share of tokens, `forward_ms` what the whole model takes for one clip, `forward_j` what
    the machine takes meanwhile if it shows that, `tokens` what the merging leaves, `num_bytes` and `by_split`
    (accuracy at each split) what crossing costs. `accuracy` is the mean over the splits of whichever measure
    the summary has.
    """

    pruning: Pruning
    codec: str | None
    accuracy: float
    agreement: Share
    top1: Share
    top5: Share
    num_bytes: float
    work: float
    tokens: int
    forward_ms: float
    by_split: Mapping[int, float]
    forward_j: float | None = None
    dominated: bool = False

    @property
    def kind(self) -> str | None:
        """What the codec encodes, "pixels" or "tokens"; None where nothing crosses."""
        return None if self.codec is None else get_codec(self.codec).kind


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows in the order of the grid; `measure` says what `accuracy` is: "top1" where every example has a
    class, otherwise "agreement" with the unmerged float32 model."""

    measure: str
    rows: tuple[Row, ...]


def summarise(
    scores: Sequence[Score],
    forward_ms: Mapping[Pruning, float],
    num_tokens: int,
    forward_j: Mapping[Pruning, float] | None = None,
) -> Summary:
    """The summary of all cells' scores."""
    labelled = all(score.top1.shown == score.agreement.shown for score in scores)
    measure = TOP1 if labelled else AGREEMENT
    groups: dict[tuple[Pruning, str | None], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.cell.pruning, score.cell.codec), []).append(score)
    rows = [_row(group, measure, forward_ms[group[0].cell.pruning], num_tokens) for group in groups.values()]
    known = [replace(row, forward_j=(forward_j or {}).get(row.pruning)) for row in rows]
    return Summary(measure, tuple(_marked(row, known) for row in known))


def _row(scores: Sequence[Score], measure: str, forward_ms: float, num_tokens: int) -> Row:
    pruning = scores[0].cell.pruning
    shares = [score.top1 if measure == TOP1 else score.agreement for score in scores]
    accuracies = [share.value or 0.0 for share in shares]
    return Row(
        pruning=pruning,
        codec=scores[0].cell.codec,
        accuracy=fmean(accuracies),
        agreement=_mean([score.agreement for score in scores]),
        top1=_mean([score.top1 for score in scores]),
        top5=_mean([score.top5 for score in scores]),
        num_bytes=fmean(score.num_bytes for score in scores),
        work=work(pruning, num_tokens),
        tokens=pruning.tokens_after(num_tokens, len(pruning.removed)),
        forward_ms=forward_ms,
        by_split={score.cell.split or 0: each for score, each in zip(scores, accuracies, strict=True)},
    )


def _mean(shares: Sequence[Share]) -> Share:
    """Of the same examples at several splits: no more trustworthy than at one."""
    return Share(round(fmean(share.hits for share in shares)), shares[0].shown)


def _marked(row: Row, rows: Sequence[Row]) -> Row:
    return replace(row, dominated=any(_beats(other, row) for other in rows if other.kind == row.kind))


def _beats(one: Row, other: Row) -> bool:
    """Whether `one` is nowhere worse, and somewhere better."""
    better = (one.accuracy - other.accuracy, other.work - one.work, other.num_bytes - one.num_bytes)
    return min(better) >= 0 and max(better) > 0
