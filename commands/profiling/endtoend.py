"""The profile's word against real forwards: heads and tails at several splits and prunings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from commands.profiling.rounds import Rounds, Work, quiet_ms
from commands.profiling.workload import Workload
from models import SplitViT
from pipeline.clock import Clock
from pipeline.items import Pruning
from scheduling.profile import Profile
from scheduling.pruning import alpha_max, exponential, none, rising, uniform


@dataclass(frozen=True, slots=True)
class Cut:
    """Layers up to `split` and those behind it under `pruning`; split N + 1 is the whole model."""

    pruning: Pruning
    split: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What the head and the tail of `cut` together were predicted to take, and what they took."""

    cut: Cut
    predicted_ms: float
    measured_ms: float

    @property
    def error(self) -> float:
        """Relative, above 0 where the prediction was too long."""
        return self.predicted_ms / self.measured_ms - 1


def some_cuts(model: SplitViT) -> list[Cut]:
    """Splits at both ends and in the middle, without merging and with merging early, evenly and late."""
    layers, tokens = model.num_layers, model.num_tokens
    most = 0.8 * tokens / layers
    prunings = (
        none(layers, tokens),
        exponential(0.9 * alpha_max(layers, tokens), layers, tokens),
        uniform(most / 2, layers, tokens),
        uniform(most, layers, tokens),
        rising(1.6 * most, layers, tokens),
    )
    splits = (1, layers // 2, layers - 1, layers + 1)
    return [Cut(pruning, split) for pruning in prunings for split in splits]


def compare(
    model: SplitViT, profile: Profile, cuts: Sequence[Cut], rounds: Rounds, clock: Clock
) -> list[Compared]:
    """Run every cut's head and tail for real, one clip at a time, and set them beside the prediction."""
    forwards = _Forwards(model, Workload(model))
    works: dict[Cut, Work] = {cut: partial(forwards.run, cut) for cut in cuts}
    with torch.inference_mode():
        times = quiet_ms(works, rounds, clock)
    return [Compared(cut, predicted_ms(profile, cut), times[cut]) for cut in cuts]


def predicted_ms(profile: Profile, cut: Cut) -> float:
    """Head and tail of `cut` together, without encoding, link and decoding."""
    removed = np.array(cut.pruning.removed)
    entering = profile.num_tokens - np.cumsum(removed) + removed
    layers = float(profile.layer.ms(entering, removed).sum())
    crossing = 2 * profile.overhead_ms if cut.split <= profile.num_layers else 0.0
    return profile.embed_ms + layers + crossing + profile.classify_ms


class _Forwards:
    """Heads and tails as the stages run them."""

    def __init__(self, model: SplitViT, workload: Workload) -> None:
        self._model = model
        self._frames = workload.frames

    def run(self, cut: Cut) -> None:
        model = self._model
        tokens = model.embed(model.preprocess(self._frames[None]))
        tokens = model.run_layers(tokens, 0, min(cut.split, model.num_layers), cut.pruning)
        if cut.split <= model.num_layers:
            tokens = model.from_features([model.to_features(tokens)])
            tokens = model.run_layers(tokens, cut.split, model.num_layers, cut.pruning)
        model.classify(tokens).cpu().numpy()
