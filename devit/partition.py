"""Which classes each part is responsible for: `partition` is all there is."""

from itertools import pairwise

import torch

from pipeline.errors import ConfigError

MOST_SEED = 2**64 - 1


def partition(num_classes: int, num_parts: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Random subsets of the classes 0..num_classes-1, one for each part, sorted inside (DeViT, eq. 4).

    The first num_classes mod num_parts subsets have one class more than the others; every class is in
    exactly one. Raises ConfigError where some part would have no class.
    """
    if not 1 <= num_parts <= num_classes or not 0 <= seed <= MOST_SEED:
        raise ConfigError(
            f"{num_classes} classes cannot be split into {num_parts} parts with seed {seed}: "
            f"1 part or more, no more parts than classes, and a seed of 0 to {MOST_SEED}"
        )
    order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(seed)).tolist()
    least, larger = divmod(num_classes, num_parts)
    starts = [least * part + min(part, larger) for part in range(num_parts + 1)]
    return tuple(tuple(sorted(order[start:stop])) for start, stop in pairwise(starts))
