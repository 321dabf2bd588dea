"""Rules that say how many tokens each layer merges away."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.items import Pruning

ALPHA_STEP = 0.01


def none(num_layers: int, num_tokens: int) -> Pruning:
    """Merge nothing."""
    return Pruning("none", 0.0, (0,) * num_layers)


def exponential(alpha: float, num_layers: int, num_tokens: int) -> Pruning:
    """Layer l = 1..N merges floor(2 ** (alpha * (N - l))) tokens; alpha 0 merges none. Janus, eq. 1."""
    return Pruning("exponential", alpha, feasible(_exponential_wish(alpha, num_layers), num_tokens))


def uniform(r: float, num_layers: int, num_tokens: int) -> Pruning:
    """Every layer merges `r` tokens. ToMe, section 3."""
    return Pruning("uniform", r, feasible([round(r)] * num_layers, num_tokens))


def falling(most: float, num_layers: int, num_tokens: int) -> Pruning:
    """From `most` tokens in the first layer in a straight line down to 0 in the last."""
    return Pruning("falling", most, feasible(_ramp(most, num_layers)[::-1], num_tokens))


def rising(most: float, num_layers: int, num_tokens: int) -> Pruning:
    """From 0 tokens in the first layer in a straight line up to `most` in the last."""
    return Pruning("rising", most, feasible(_ramp(most, num_layers), num_tokens))


def alpha_max(num_layers: int, num_tokens: int) -> float:
    """The largest alpha, in steps of 0.01, whose removals sum to less than `num_tokens`. Janus, eq. 2."""
    steps = 0
    while num_layers > 1 and sum(_exponential_wish((steps + 1) * ALPHA_STEP, num_layers)) < num_tokens:
        steps += 1
    return round(steps * ALPHA_STEP, 2)


def feasible(wish: Sequence[int], num_tokens: int) -> tuple[int, ...]:
    """`wish` cut down layer by layer: the class token is never merged, nor more than half of the others."""
    removed = []
    left = num_tokens
    for tokens in wish:
        removed.append(min(tokens, (left - 1) // 2))
        left -= removed[-1]
    return tuple(removed)


def is_feasible(removed: Sequence[int], num_layers: int, num_tokens: int) -> bool:
    """Whether every layer can really merge what `removed` asks of it."""
    return (
        len(removed) == num_layers
        and min(removed, default=0) >= 0
        and feasible(removed, num_tokens) == tuple(removed)
    )


def _exponential_wish(alpha: float, num_layers: int) -> list[int]:
    if alpha == 0:
        return [0] * num_layers
    return [math.floor(2 ** (alpha * (num_layers - layer))) for layer in range(1, num_layers + 1)]


def _ramp(most: float, num_layers: int) -> list[int]:
    return [round(most * layer / max(1, num_layers - 1)) for layer in range(num_layers)]


@dataclass(frozen=True, slots=True)
class _Rule:
    make: Callable[[float, int, int], Pruning]
    parameter: str


RULES = {
    "exponential": _Rule(exponential, "alpha"),
    "uniform": _Rule(uniform, "tokens a layer"),
    "falling": _Rule(falling, "tokens in the first layer"),
    "rising": _Rule(rising, "tokens in the last layer"),
}


def parse_pruning(spec: str, num_layers: int, num_tokens: int) -> Pruning:
    """The pruning that a text such as "none", "exponential:0.2" or "uniform:8" names.

    Raises ConfigError for an unknown rule or a parameter that is no number from 0 up.
    """
    name, _, parameter = spec.partition(":")
    if spec == "none":
        return none(num_layers, num_tokens)
    rule = RULES.get(name)
    if rule is None:
        known = ", ".join(f"{name}:<{rule.parameter}>" for name, rule in RULES.items())
        raise ConfigError(f"pruning {spec!r} is unknown; choose none, {known}")
    return rule.make(_parameter(spec, parameter, name, num_layers, num_tokens), num_layers, num_tokens)


def _parameter(spec: str, text: str, name: str, num_layers: int, num_tokens: int) -> float:
    most = alpha_max(num_layers, num_tokens) if name == "exponential" else float(num_tokens)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ConfigError(f"pruning {spec!r}: {RULES[name].parameter} must be a number from 0 to {most:g}")
    return value
