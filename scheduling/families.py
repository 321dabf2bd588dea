"""Families of prunings, light to heavy, for any model: what is tried where no accuracy was measured."""

from collections.abc import Sequence

from pipeline.items import Pruning
from scheduling.pruning import alpha_max, exponential, late, none, ramp, uniform

# The front of agreement against work on a ViT of 12 layers and 197 tokens (docs/pruning.md), light to heavy.
LAYERS, TOKENS = 12, 197
LATE = ((8, 16), (6, 16), (5, 16), (5, 20), (5, 24), (3, 16), (3, 20))
RAMP = ((8, 24), (12, 20), (12, 28), (20, 12), (24, 8), (24, 16), (32, 0), (32, 8))
EVALUATED_LATE = ((6, 16), (5, 20), (3, 16))
EVALUATED_RAMP = ((8, 24), (12, 20), (12, 28))
EVALUATED_UNIFORM = (6, 10, 14)
EVALUATED_ALPHAS = (0.56, 0.83)  # of the largest alpha: 0.3 and 0.45 where that is 0.54


def default_prunings(num_layers: int, num_tokens: int, most: int | None = None) -> list[Pruning]:
    """None, then the front that was measured, each pruning with less work than the one before, as far as
    Janus's own go; at most `most` of them, evenly chosen, ends included.

    Other models merge in the same shares of their layers and of their tokens a layer.
    """
    found = [none(num_layers, num_tokens)]
    front = [*_late(LATE, num_layers, num_tokens), *_ramps(RAMP, num_layers, num_tokens)]
    for pruning in (*front, exponential(alpha_max(num_layers, num_tokens), num_layers, num_tokens)):
        if work(pruning, num_tokens) < work(found[-1], num_tokens):
            found.append(pruning)
    return thinned(found, most)


def evaluate_prunings(num_layers: int, num_tokens: int) -> list[Pruning]:
    """Twelve to measure on a new model: none, six of the front, and ToMe's and Janus's rules to compare;
    fewer on a model too small to tell them apart."""
    alpha = alpha_max(num_layers, num_tokens)
    wanted = [
        none(num_layers, num_tokens),
        *_late(EVALUATED_LATE, num_layers, num_tokens),
        *_ramps(EVALUATED_RAMP, num_layers, num_tokens),
        *(uniform(_tokens(r, num_layers, num_tokens), num_layers, num_tokens) for r in EVALUATED_UNIFORM),
        *(exponential(round(share * alpha, 2), num_layers, num_tokens) for share in EVALUATED_ALPHAS),
    ]
    found: dict[tuple[int, ...], Pruning] = {}
    for pruning in wanted:
        found.setdefault(pruning.removed, pruning)
    return list(found.values())


def work(pruning: Pruning, num_tokens: int) -> float:
    """Tokens that enter the layers, as a share of those without merging."""
    layers = range(len(pruning.removed))
    return sum(pruning.tokens_after(num_tokens, layer) for layer in layers) / (len(layers) * num_tokens)


def thinned(prunings: Sequence[Pruning], most: int | None) -> list[Pruning]:
    """At most `most` of `prunings`, evenly chosen, ends included; all for None."""
    if most is None or len(prunings) <= most:
        return list(prunings)
    last = len(prunings) - 1
    return [prunings[round(index * last / max(1, most - 1))] for index in range(most)]


def _late(pairs: Sequence[tuple[int, int]], num_layers: int, num_tokens: int) -> list[Pruning]:
    shape = (num_layers, num_tokens)
    return [late(round(k * num_layers / LAYERS), _tokens(r, *shape), *shape) for k, r in pairs]


def _ramps(pairs: Sequence[tuple[int, int]], num_layers: int, num_tokens: int) -> list[Pruning]:
    shape = (num_layers, num_tokens)
    return [ramp(_tokens(first, *shape), _tokens(last, *shape), *shape) for first, last in pairs]


def _tokens(measured: int, num_layers: int, num_tokens: int) -> int:
    """As many tokens of a layer as `measured` were of the measured model's: the same share of x_0 / N."""
    return min(round(measured * num_tokens / TOKENS * LAYERS / num_layers), num_tokens)
