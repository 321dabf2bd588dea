"""The one loop by which everything is trained: `train`, which goes on from a checkpoint as if never ended."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from devit.checkpoints import Checkpoint
from devit.data import Batch
from devit.randomness import seeded
from devit.recipe import Recipe, optimizer_of, schedule_of
from pipeline.clock import SystemClock
from pipeline.errors import ModelError

DRAW = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch came to: the loss to lower, and the share that was right, both scalars."""

    loss: Tensor
    right: Tensor


@dataclass(frozen=True, slots=True)
class StepResult:
    """The step 0, 1, ... that was taken, the loss and the share right before it, and how long it took."""

    step: int
    loss: float
    accuracy: float
    seconds: float


Objective = Callable[[Batch, int, torch.Generator], Outcome]
OnStep = Callable[[StepResult], None]


def train(
    model: nn.Module,
    objective: Objective,
    batch_of: Callable[[int], Batch],
    recipe: Recipe,
    *,
    on_step: OnStep = lambda result: None,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
) -> None:
    """Train `model` in place: AdamW, a cosine with warm-up, gradients clipped to a norm.

    `objective` turns a batch, the step and a generator of that step into an outcome; all randomness hangs
    on the recipe's seed and the step. `checkpoint` is gone on from, renewed now and then, and holds the
    last step at the end. It never holds a step that `on_step` has not heard of; one that was heard of and
    not kept is taken, and heard of, again. Raises ModelError when the loss is no number any more.
    """
    optimizer = optimizer_of(model, recipe)
    schedule = schedule_of(optimizer, recipe)
    first = checkpoint.load(recipe, model, optimizer) if checkpoint else 0
    clock = SystemClock()
    for step in range(first, recipe.steps):
        started = clock.now()
        schedule.step_update(step)
        model.train()
        with seeded(recipe.seed, DRAW, step) as generator:
            outcome = objective(batch_of(step).to(device), step, generator)
            outcome.loss.backward()  # type: ignore[no-untyped-call]
        loss = _checked(outcome.loss.item(), step, recipe)
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
        optimizer.step()
        optimizer.zero_grad()
        on_step(StepResult(step, loss, outcome.right.item(), clock.now() - started))
        if checkpoint and (checkpoint.is_due or step + 1 == recipe.steps):
            checkpoint.save(recipe, step + 1, model, optimizer)


def _checked(loss: float, step: int, recipe: Recipe) -> float:
    if not math.isfinite(loss):
        raise ModelError(f"the loss of step {step} is {loss}; train with a lower rate than {recipe.rate:g}")
    return loss
