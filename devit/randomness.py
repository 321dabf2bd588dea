"""Randomness that hangs on a place, not on what was drawn before: `generator_of` and `seeded`.

What a training draws in step 700 is fixed by its seed and the number 700; who goes on there after an end
needs no state of any generator.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def generator_of(*key: int) -> torch.Generator:
    """A generator on the CPU, seeded by `key` alone; numbers are 0 or more.

    Keys of one length draw apart; a longer key that ends in zeros may draw as a shorter one does.
    """
    return torch.Generator().manual_seed(_seed_of(key))


@contextmanager
def seeded(*key: int) -> Iterator[torch.Generator]:
    """Within it torch's own generators are seeded by `key`; after it they are as they were before."""
    with torch.random.fork_rng():
        torch.manual_seed(_seed_of(key))
        yield generator_of(*key)


def _seed_of(key: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
