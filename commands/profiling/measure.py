"""From a loaded model to its profile on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from commands.profiling.codecs import measure_codecs
from commands.profiling.layers import FEWEST_TOKENS, Entry, entries, layer_profile, token_counts
from commands.profiling.machine import describe_machine
from commands.profiling.rounds import MS, OnProgress, Rounds, Work, quiet_ms
from commands.profiling.workload import Workload
from models import SplitViT
from pipeline.clock import Clock
from pipeline.errors import ConfigError
from scheduling.profile import Profile

FEWEST_POINTS = 8
LAYERS_SHARE = 0.7
STEADY_ERROR = 0.2


@dataclass(frozen=True, slots=True)
class Effort:
    """How closely to look: `points` token counts, and how often the layers and the codecs take turns.

    One piece of work runs as many layers in a row as take about `stack_ms`, at least two.
    """

    points: int
    layers: Rounds
    codecs: Rounds
    stack_ms: float


QUICK = Effort(12, Rounds(4, 30, 1.2), Rounds(3, 10, 0.5), 30.0)
THOROUGH = Effort(24, Rounds(15, 200, 20.0), Rounds(10, 100, 8.0), 100.0)


@dataclass(frozen=True, slots=True)
class TokenRange:
    """The token counts that a profile covers, both ends included."""

    low: int
    high: int


def token_range(model: SplitViT, low: int | None = None, high: int | None = None) -> TokenRange:
    """The asked range, or what the model can meet; ConfigError for one that holds too few counts."""
    found = TokenRange(FEWEST_TOKENS if low is None else low, model.num_tokens if high is None else high)
    if found.low < FEWEST_TOKENS or found.high < found.low + FEWEST_POINTS:
        raise ConfigError(
            f"tokens {found.low} to {found.high}: a profile starts at {FEWEST_TOKENS} tokens or more "
            f"and covers {FEWEST_POINTS} more at least"
        )
    return found


def measure_profile(
    model: SplitViT,
    effort: Effort,
    tokens: TokenRange,
    clock: Clock,
    on_progress: OnProgress = lambda done: None,
) -> Profile:
    """Measure `model` for one clip at a time; blocks. `on_progress` hears the share that is done."""
    workload = Workload(model)
    with torch.inference_mode():
        depth = _depth(model, workload, effort.stack_ms, clock)
        counts = token_counts(tokens.low, tokens.high, effort.points)
        works = _works(workload, entries(counts, model.num_tokens), depth)
        times = quiet_ms(works, effort.layers, clock, lambda done: on_progress(done * LAYERS_SHARE))
        codecs = measure_codecs(
            model,
            workload,
            effort.codecs,
            clock,
            lambda done: on_progress(LAYERS_SHARE + done * (1 - LAYERS_SHARE)),
        )
    layer, fits = layer_profile({key: ms / depth for key, ms in times.items() if isinstance(key, Entry)})
    return Profile(
        machine=describe_machine(model),
        model=model.name,
        num_layers=model.num_layers,
        num_tokens=model.num_tokens,
        dim=model.dim,
        layer=layer,
        embed_ms=times["embed"],
        classify_ms=times["classify"],
        codecs=codecs,
        fits=fits,
        overhead_ms=times["cross"] / 2,
    )


def is_steady(profile: Profile) -> bool:
    """Whether the times of layers lie on a curve; those of a machine that is busy otherwise do not."""
    return all(fit.mean_error <= STEADY_ERROR for fit in profile.fits.values() if fit.chosen)


def _works(workload: Workload, wanted: Sequence[Entry], depth: int) -> dict[Entry | str, Work]:
    """All that takes turns: the ends of a forward, and its layers, `depth` at a time."""
    works: dict[Entry | str, Work] = {
        "embed": workload.embed,
        "classify": workload.classify,
        "cross": workload.cross,
    }
    works.update((entry, workload.layers(entry.tokens, entry.removed, depth)) for entry in wanted)
    return works


def _depth(model: SplitViT, workload: Workload, stack_ms: float, clock: Clock) -> int:
    """How many layers take about `stack_ms` at the model's own number of tokens."""
    one = workload.layers(model.num_tokens, 0, 1)
    one()
    started = clock.now()
    one()
    layer_ms = max((clock.now() - started) * MS, 1e-3)
    return min(max(round(stack_ms / layer_ms), 2), model.num_layers)
