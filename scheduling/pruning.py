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
    return Pruning("falling", most, feasible(_straight(most, 0, num_layers), num_tokens))


def rising(most: float, num_layers: int, num_tokens: int) -> Pruning:
    """From 0 tokens in the first layer in a straight line up to `most` in the last."""
    return Pruning("rising", most, feasible(_straight(0, most, num_layers), num_tokens))


def late(spared: float, r: float, num_layers: int, num_tokens: int) -> Pruning:
    """Nothing in the first `spared` layers, `r` tokens in each of the others."""
    first = min(round(spared), num_layers)
    wish = [0] * first + [round(r)] * (num_layers - first)
    return Pruning(f"late:{spared:g}", r, feasible(wish, num_tokens))


def ramp(first: float, last: float, num_layers: int, num_tokens: int) -> Pruning:
    """From `first` tokens in the first layer in a straight line to `last` in the last."""
    return Pruning(f"ramp:{first:g}", last, feasible(_straight(first, last, num_layers), num_tokens))


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


def _straight(first: float, last: float, num_layers: int) -> list[int]:
    steps = max(1, num_layers - 1)
    return [round((first * (steps - layer) + last * layer) / steps) for layer in range(num_layers)]


@dataclass(frozen=True, slots=True)
class _Rule:
    make: Callable[..., Pruning]
    parameters: tuple[str, ...]

    def usage(self, name: str) -> str:
        return ":".join([name, *(f"<{parameter}>" for parameter in self.parameters)])


ALPHA = "alpha"
SPARED = "layers spared"
EACH = "tokens a layer"
FIRST = "tokens in the first layer"
LAST = "tokens in the last layer"
RULES = {
    "exponential": _Rule(exponential, (ALPHA,)),
    "uniform": _Rule(uniform, (EACH,)),
    "falling": _Rule(falling, (FIRST,)),
    "rising": _Rule(rising, (LAST,)),
    "late": _Rule(late, (SPARED, EACH)),
    "ramp": _Rule(ramp, (FIRST, LAST)),
}


def parse_pruning(spec: str, num_layers: int, num_tokens: int) -> Pruning:
    """The pruning that a text such as "none", "exponential:0.2" or "ramp:8:28" names.

    Raises ConfigError for an unknown rule, too many or too few parameters, or one that is no number from
    0 to what the model bears.
    """
    name, *texts = spec.split(":")
    if spec == "none":
        return none(num_layers, num_tokens)
    rule = RULES.get(name)
    if rule is None:
        known = ", ".join(rule.usage(name) for name, rule in RULES.items())
        raise ConfigError(f"pruning {spec!r} is unknown; choose none, {known}")
    if len(texts) != len(rule.parameters):
        raise ConfigError(f"pruning {spec!r}: is written {rule.usage(name)}")
    values = [
        _value(spec, text, parameter, num_layers, num_tokens)
        for text, parameter in zip(texts, rule.parameters, strict=True)
    ]
    return rule.make(*values, num_layers, num_tokens)


def _value(spec: str, text: str, parameter: str, num_layers: int, num_tokens: int) -> float:
    most = {ALPHA: alpha_max(num_layers, num_tokens), SPARED: float(num_layers)}.get(
        parameter, float(num_tokens)
    )
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ConfigError(f"pruning {spec!r}: {parameter} must be a number from 0 to {most:g}")
    return value
