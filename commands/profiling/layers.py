"""A layer's time against the tokens that enter it, without and with merging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduling.fitting import best_curve
from scheduling.profile import Curve, FitError, LayerProfile, Line

FEWEST_TOKENS = 3
HELD_OUT_EVERY = 3
MERGING_SIZES = (1.0, 0.5, 0.25)


@dataclass(frozen=True, slots=True)
class Entry:
    """One layer that `tokens` enter and that merges away `removed` of them."""

    tokens: int
    removed: int = 0


def token_counts(low: int, high: int, points: int) -> list[int]:
    """About `points` counts from `low` to `high`, denser where they are few."""
    return sorted({round(count) for count in np.geomspace(low, high, points)})


def entries(counts: Sequence[int], num_tokens: int) -> list[Entry]:
    """What to measure: every count without merging, and a few with little and with much of it."""
    merging = {
        Entry(tokens, removed)
        for tokens in (max(round(num_tokens * size), 2 * FEWEST_TOKENS) for size in MERGING_SIZES)
        for removed in (0, 1, max(tokens // 16, 1), tokens // 4)
    }
    plain = {Entry(count) for count in counts}
    return sorted(plain | merging, key=lambda entry: (entry.tokens, entry.removed))


def layer_profile(times: Mapping[Entry, float]) -> tuple[LayerProfile, dict[str, FitError]]:
    """The profile through `times` in ms a layer, and how far each kind of curve was off."""
    plain = {entry.tokens: ms for entry, ms in times.items() if entry.removed == 0}
    curve, errors = _curve(plain)
    merge_ms, mlp_ms_per_token = _merging(times, plain)
    return LayerProfile(curve=curve, merge_ms=merge_ms, mlp_ms_per_token=mlp_ms_per_token), errors


def _curve(plain: Mapping[int, float]) -> tuple[Curve, dict[str, FitError]]:
    """Fitted to two counts of three, ends included, and judged on the third."""
    counts = sorted(plain)
    held_out = counts[1:-1:HELD_OUT_EVERY]
    train = [count for count in counts if count not in held_out]
    return best_curve({n: plain[n] for n in train}, {n: plain[n] for n in held_out})


def _merging(times: Mapping[Entry, float], plain: Mapping[int, float]) -> tuple[Line, float]:
    """base + slope * tokens - share * removed through what merging changed, relative to the whole layer."""
    merging = [entry for entry in times if entry.removed > 0]
    whole = np.array([plain[entry.tokens] for entry in merging])
    system = np.array([(1.0, entry.tokens, -entry.removed) for entry in merging])
    extra = np.array([times[entry] for entry in merging]) - whole
    base, slope, share = np.linalg.lstsq(system / whole[:, None], extra / whole, rcond=None)[0]
    return Line(base=float(base), slope=float(slope)), max(float(share), 0.0)
