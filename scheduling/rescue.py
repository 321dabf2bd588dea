"""Rescue: what it takes to finish a clip on the device after all."""

from dataclasses import dataclass

import numpy as np

from pipeline.items import Pruning
from scheduling.levels import exponential_prunings
from scheduling.profile import Profile


@dataclass(frozen=True, slots=True)
class LocalFinish:
    """The layers after a cut, run on the device with `pruning` (of those layers alone), and their ms."""

    pruning: Pruning
    ms: float


class LocalFinishes:
    """Ways to finish a clip on the device from its features at a cut.

    Janus's rule spends its merging in the first layers, most of which are over by then: it starts anew
    over the layers that are left.
    """

    def __init__(self, device: Profile) -> None:
        self._device = device
        self._known: dict[tuple[int, int], tuple[LocalFinish, ...]] = {}

    @property
    def num_tokens(self) -> int:
        """Tokens after embedding."""
        return self._device.num_tokens

    def after(self, split: int, tokens: int) -> tuple[LocalFinish, ...]:
        """From `tokens` tokens after layer `split` (0: from the pixels), lightest pruning first."""
        key = (split, tokens)
        if key not in self._known:
            prunings = exponential_prunings(self._device.num_layers - split, tokens)
            self._known[key] = tuple(LocalFinish(p, self._ms(split, tokens, p)) for p in prunings)
        return self._known[key]

    def lightest(self, split: int, tokens: int, budget_ms: float) -> LocalFinish:
        """The lightest pruning that takes at most `budget_ms`; the fastest where none does."""
        ways = self.after(split, tokens)
        return next((way for way in ways if way.ms <= budget_ms), min(ways, key=lambda way: way.ms))

    def fastest_ms(self, split: int, tokens: int) -> float:
        """What the fastest way takes."""
        return min(way.ms for way in self.after(split, tokens))

    def _ms(self, split: int, tokens: int, pruning: Pruning) -> float:
        device = self._device
        entering = [pruning.tokens_after(tokens, layer) for layer in range(len(pruning.removed))]
        begin_ms = device.overhead_ms + (device.embed_ms if split == 0 else 0.0)
        return begin_ms + float(np.sum(device.layer.ms(entering, pruning.removed))) + device.classify_ms
