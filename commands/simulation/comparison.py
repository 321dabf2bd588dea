"""Rows held against each other: janus against the paper's ranges, janus+ against janus and the oracle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commands.simulation.contestants import BASELINES, JANUS, STRICT
from scheduling.policies import JANUS_PLUS, ORACLE
from scheduling.simulation.metrics import Row
from scheduling.simulation.setup import Ranges

Range = tuple[float, float]
MOST_VIOLATIONS = 0.001
LEAST_SPEEDUP = 2.0
MOST_OVER_ORACLE = 1.1
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Cell:
    """janus against one baseline in one group: throughput over the baseline's, and the share of its
    violations that janus avoids; None where the baseline has none."""

    task: str
    group: str
    pixels: str
    baseline: str
    throughput: float
    avoided: float | None
    throughput_range: Range
    avoided_range: Range

    @property
    def throughput_place(self) -> str:
        """Where the throughput lies: "in", "below" or "above" its range."""
        return _place(round(self.throughput, 2), self.throughput_range)

    @property
    def avoided_place(self) -> str:
        """The same of the violations; "none" where there was none to avoid."""
        return "none" if self.avoided is None else _place(round(self.avoided, 3), self.avoided_range)


@dataclass(frozen=True, slots=True)
class Gain:
    """janus+ in one group: throughput over that of janus with the paper's codecs, both accuracy levels, and
    mean latency over the oracle's."""

    task: str
    group: str
    policy: str
    violation_ratio: float
    speedup: float
    level: float | None
    janus_level: float | None
    over_oracle: float

    @property
    def misses(self) -> list[str]:
        """What is wanted of janus+ and not so."""
        wanted = {
            "violations": self.violation_ratio <= MOST_VIOLATIONS,
            "throughput": self.speedup >= LEAST_SPEEDUP,
            "level": self.level is None or self.level >= (self.janus_level or 0.0) - ROUNDING,
            "latency": self.over_oracle <= MOST_OVER_ORACLE,
        }
        return [name for name, met in wanted.items() if not met]


def against_ranges(rows: Sequence[Row], ranges: Ranges) -> Iterator[Cell]:
    """A cell for every row of a baseline that has janus beside it, with the same pixels."""
    for row in rows:
        janus = _find(rows, row, JANUS, row.pixels)
        if row.policy in BASELINES and row.policy in ranges.throughput and janus is not None:
            yield Cell(
                row.task,
                row.group,
                row.pixels,
                row.policy,
                janus.throughput / row.throughput,
                1 - janus.violation_ratio / row.violation_ratio if row.violation_ratio else None,
                ranges.throughput[row.policy],
                ranges.violations[row.policy],
            )


def gains(rows: Sequence[Row]) -> Iterator[Gain]:
    """A gain for every row of janus+ that has both janus and the oracle beside it."""
    for row in rows:
        janus, oracle = _find(rows, row, JANUS, "paper"), _find(rows, row, ORACLE, "every")
        if row.policy in (JANUS_PLUS, STRICT) and janus is not None and oracle is not None:
            yield Gain(
                row.task,
                row.group,
                row.policy,
                row.violation_ratio,
                row.throughput / janus.throughput,
                row.accuracy_level,
                janus.accuracy_level,
                row.latency_mean_ms / oracle.latency_mean_ms,
            )


def _find(rows: Sequence[Row], beside: Row, policy: str, pixels: str) -> Row | None:
    wanted = (beside.task, beside.group, policy, pixels)
    return next((row for row in rows if (row.task, row.group, row.policy, row.pixels) == wanted), None)


def _place(value: float, within: Range) -> str:
    if value < within[0]:
        return "below"
    return "above" if value > within[1] else "in"
