"""What a simulation amounts to: the paper's measures, and those a bill is paid by."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.items import Pruning
from scheduling.levels import WORST_FIDELITY, fidelity
from scheduling.simulation.engine import Outcome

Level = Callable[[Pruning, str], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One policy over the traces of one group.

    `violation_ratio` and the other ratios are fractions, `throughput` is in clips a second,
    `latency_deviation` the mean of |latency - promise| / promise, `accuracy_level` 1.0 at the best level
    and 0.0 at the worst, None for a pruning that is not on the scale.
    """

    group: str
    policy: str
    task: str
    pixels: str
    clips: int
    violation_ratio: float
    throughput: float
    latency_mean_ms: float
    latency_p50_ms: float
    latency_p99_ms: float
    latency_deviation: float
    mean_pruning: float
    tokens_kept: float
    mean_split: float
    bytes_per_clip: float
    accuracy_level: float | None
    rescued_ratio: float
    on_device_ratio: float
    in_cloud_ratio: float

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def level_scale(prunings: Sequence[Pruning]) -> Level:
    """The order of levels as a number: 1.0 for no pruning and a lossless codec; one pruning further
    counts for more than any codec. Only exponential prunings are on it, by their alpha."""
    alphas = [pruning.parameter for pruning in prunings]

    def level(pruning: Pruning, codec: str) -> float | None:
        if pruning.name not in ("none", "exponential"):
            return None
        place = min(bisect_left(alphas, pruning.parameter), len(alphas) - 1)
        lost = 0.0 if codec == "none" else fidelity(codec) / (WORST_FIDELITY + 1)
        return 1.0 - (place + lost) / len(alphas)

    return level


def summarise(
    outcomes: Sequence[Outcome],
    elapsed_s: float,
    *,
    sla_ms: float,
    num_tokens: int,
    level: Level,
    **names: str,
) -> Row:
    """The row of `outcomes`; `names` are group, policy, task and pixels."""
    latency_ms = np.array([outcome.latency_ms for outcome in outcomes])
    p50, p99 = np.percentile(latency_ms, [50, 99])
    levels = [accuracy_level(outcome, level) for outcome in outcomes]
    known = [value for value in levels if value is not None]
    last = max(len(outcomes[0].plan.pruning.removed) + 1, 1)
    splits = np.array([outcome.plan.split for outcome in outcomes])
    return Row(
        **names,
        clips=len(outcomes),
        violation_ratio=float((latency_ms > sla_ms).mean()),
        throughput=len(outcomes) / elapsed_s,
        latency_mean_ms=float(latency_ms.mean()),
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        latency_deviation=float(np.abs(latency_ms - sla_ms).mean() / sla_ms),
        mean_pruning=float(np.mean([outcome.plan.pruning.parameter for outcome in outcomes])),
        tokens_kept=float(np.mean([_kept(outcome.plan.pruning, num_tokens) for outcome in outcomes])),
        mean_split=float(splits.mean()),
        bytes_per_clip=float(np.mean([outcome.num_bytes for outcome in outcomes])),
        accuracy_level=float(np.mean(known)) if len(known) == len(levels) else None,
        rescued_ratio=float(np.mean([outcome.rescued is not None for outcome in outcomes])),
        on_device_ratio=float((splits == last).mean()),
        in_cloud_ratio=float((splits == 0).mean()),
    )


def accuracy_level(outcome: Outcome, level: Level) -> float | None:
    """The level at which a clip was answered: a rescued one as if its heavier pruning had begun at the
    first layer."""
    if outcome.rescued is None:
        return level(outcome.plan.pruning, outcome.plan.codec)
    planned, rescued = level(outcome.plan.pruning, "none"), level(outcome.rescued.pruning, "none")
    return None if planned is None or rescued is None else min(planned, rescued)


def _kept(pruning: Pruning, num_tokens: int) -> float:
    """Mean share of the tokens that a layer sees."""
    layers = len(pruning.removed)
    return sum(pruning.tokens_after(num_tokens, split) for split in range(layers)) / layers / num_tokens
