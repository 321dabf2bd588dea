"""What fixes how a model is trained: `Recipe`, its optimizer and the course of its learning rate."""

import math
from dataclasses import dataclass

import torch
from timm.optim._param_groups import param_groups_weight_decay
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import nn

from pipeline.errors import ConfigError

BETAS = (0.9, 0.98)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What fixes the outcome of a training, beside its model and its batches.

    The learning rate rises to `rate` over the share `warm_up` of the steps, then falls along a cosine.
    """

    steps: int
    rate: float
    seed: int
    weight_decay: float = 0.05
    warm_up: float = 0.1
    gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.rate < 1 or self.seed < 0:
            raise ConfigError(
                f"steps must be 1 or more, the rate above 0 and below 1 and the seed 0 or more, "
                f"not {self.steps}, {self.rate:g} and {self.seed}"
            )


def optimizer_of(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, which lets biases and norms keep their size."""
    groups = param_groups_weight_decay(model, recipe.weight_decay)
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=BETAS, weight_decay=0.0)


def schedule_of(optimizer: torch.optim.Optimizer, recipe: Recipe) -> CosineLRScheduler:
    """Its `step_update(step)` sets the rate of step 0, 1, ...: up over the warm-up, then down a cosine."""
    warm_up = math.ceil(recipe.steps * recipe.warm_up)
    return CosineLRScheduler(
        optimizer,
        t_initial=max(2, recipe.steps - warm_up),
        warmup_t=warm_up,
        warmup_lr_init=recipe.rate / (warm_up + 1),
        warmup_prefix=True,
        t_in_epochs=False,
    )
