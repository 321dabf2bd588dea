"""What each pruning takes on this machine, one clip at a time."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from commands.profiling.rounds import Rounds, quiet_ms
from models import SplitViT
from pipeline.clock import Clock
from pipeline.items import Pixels, Pruning

ROUNDS = Rounds(least=3, most=40, seconds=20.0)


def forward_ms(
    model: SplitViT,
    prunings: Sequence[Pruning],
    clock: Clock,
    rounds: Rounds = ROUNDS,
    on_progress: Callable[[float], None] = lambda done: None,
) -> dict[Pruning, float]:
    """Milliseconds of the whole model under each pruning, from preprocessing to logits, in turns."""
    shape = (1, model.clip_frames, model.input_size, model.input_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    works = {pruning: partial(_forward, model, frames, pruning) for pruning in prunings}
    return quiet_ms(works, rounds, clock, on_progress)


@torch.inference_mode()
def _forward(model: SplitViT, frames: Pixels, pruning: Pruning) -> None:
    model(model.preprocess(frames), pruning).cpu()
