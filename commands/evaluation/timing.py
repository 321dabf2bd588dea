"""What each pruning takes on this machine, one clip at a time: time, and energy where that is shown."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from commands.profiling.rounds import Rounds, quiet_ms
from models import SplitViT
from pipeline.clock import Clock
from pipeline.energy.meter import EnergyMeter
from pipeline.items import Pixels, Pruning

ROUNDS = Rounds(least=3, most=40, seconds=20.0)
ENERGY_S = 2.0  # twenty times as long as the slowest source takes to show a change


def forward_ms(
    model: SplitViT,
    prunings: Sequence[Pruning],
    clock: Clock,
    rounds: Rounds = ROUNDS,
    on_progress: Callable[[float], None] = lambda done: None,
) -> dict[Pruning, float]:
    """Milliseconds of the whole model under each pruning, from preprocessing to logits, in turns."""
    frames = _any_clip(model)
    works = {pruning: partial(_forward, model, frames, pruning) for pruning in prunings}
    return quiet_ms(works, rounds, clock, on_progress)


def forward_joules(
    model: SplitViT, prunings: Sequence[Pruning], clock: Clock, energy: EnergyMeter, seconds: float = ENERGY_S
) -> dict[Pruning, float]:
    """Joules of the whole machine for a clip under each pruning, run again and again for `seconds`; those of
    which nothing is shown are not there."""
    frames, found = _any_clip(model), {}
    for pruning in prunings if energy.names else ():
        began, before, clips = clock.now(), energy.joules(), 0
        while not clips or clock.now() - began < seconds:
            _forward(model, frames, pruning)
            clips += 1
        after = energy.joules()
        if before is not None and after is not None:
            found[pruning] = (after - before) / clips
    return found


def _any_clip(model: SplitViT) -> Pixels:
    shape = (1, model.clip_frames, model.input_size, model.input_size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@torch.inference_mode()
def _forward(model: SplitViT, frames: Pixels, pruning: Pruning) -> None:
    model(model.preprocess(frames), pruning).cpu()
