"""The prunings that are searched: each rule with its parameters, for a ViT of 197 tokens and 12 layers."""

from pipeline.items import Pruning
from scheduling.pruning import alpha_max, exponential, falling, late, none, ramp, rising, uniform

TOKENS, LAYERS = 197, 12
ALPHAS = (0.25, 0.3, 0.35, 0.4, 0.43, 0.45, 0.48, 0.5, 0.52, 0.54)
UNIFORM = (6, 8, 10, 12, 13, 14, 15, 16, 20, 24)
FALLING = (8, 16, 24, 32)
RISING = (16, 24, 32, 40, 48)
LATE = {1: (12, 16), 2: (12, 16, 20), 3: (12, 16, 20, 24), 4: (12, 16, 20, 24)} | {
    5: (12, 16, 20, 24, 32),
    6: (16, 20, 24, 48),
    8: (12, 16, 24, 98),
}
RAMP = {4: (16, 24, 32), 6: (20, 24, 28), 8: (16, 20, 24, 28, 32), 10: (20, 24, 26, 28)} | {
    11: (22,),
    12: (16, 20, 24, 28),
    14: (20, 24),
    16: (8, 20),
    20: (12, 20),
    24: (8, 16),
    32: (8,),
}


def candidates(num_layers: int, num_tokens: int) -> list[Pruning]:
    """No pruning first; of other models than that of the grid the same shares of their tokens and layers."""
    each = num_tokens / TOKENS * LAYERS / num_layers
    depth = num_layers / LAYERS
    shape = (num_layers, num_tokens)
    most_alpha = alpha_max(*shape) / alpha_max(LAYERS, TOKENS)
    found = [none(*shape)]
    found += [exponential(round(alpha * most_alpha, 2), *shape) for alpha in ALPHAS]
    found += [
        rule(round(most * each), *shape)
        for rule, values in ((uniform, UNIFORM), (falling, FALLING), (rising, RISING))
        for most in values
    ]
    found += [late(round(k * depth), round(r * each), *shape) for k, values in LATE.items() for r in values]
    found += [ramp(round(a * each), round(b * each), *shape) for a, values in RAMP.items() for b in values]
    return list(dict.fromkeys(found))
