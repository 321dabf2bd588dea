"""What each training of DeViT lowers: `Classify` (teachers), `Subtask` (parts), `Fuse` (their ensemble).

Each takes a batch, the step and a generator of that step, as `training.train` asks. What runs on a GPU runs
there in bfloat16; losses are always computed in float32.

The tables of the paper's ablation leave terms out. A term of features or tokens trains no head, so where it
stands alone the head learns from the labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devit.architecture import Architecture
from devit.backbones import Output, run
from devit.data import Batch
from devit.ensemble import Ensemble
from devit.fusion import drop_parts
from devit.layers import layer_map
from devit.losses import ALPHAS, ensemble_loss, feature_loss, prediction_loss, subtask_loss, token_loss
from devit.recording import recorded
from devit.training import Outcome
from models.preprocessing import preprocess

SubtaskLosses = Literal["labels", "pred", "feat", "both"]
EnsembleLosses = Literal["labels", "pred", "token", "both"]


def forward(model: nn.Module, pixels: Tensor, present: Tensor | None = None) -> Output:
    """Token and logits in float32, of any model or of an ensemble; on a GPU computed in bfloat16."""
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=pixels.is_cuda):
        output = model(pixels, present) if isinstance(model, Ensemble) else run(model, pixels)
    return Output(output.token.float(), output.logits.float())


@dataclass(frozen=True, slots=True)
class Classify:
    """Cross-entropy with the labels."""

    model: nn.Module
    architecture: Architecture

    def __call__(self, batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        logits = forward(self.model, preprocess(batch.frames, self.architecture.spec)).logits
        return Outcome(F.cross_entropy(logits, batch.labels), _right(logits, batch.labels))


@dataclass(frozen=True, slots=True)
class Subtask:
    """Eq. 8: a student learns a subset's classes from its teacher, which has them in the same order.

    `large` and `small` are the architectures of both; `alphas` weigh Q, K and V.
    """

    student: nn.Module
    small: Architecture
    teacher: nn.Module
    large: Architecture
    losses: SubtaskLosses = "both"
    alphas: Sequence[float] = ALPHAS
    beta: float = 1.0

    def __call__(self, batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        pixels = preprocess(batch.frames, self.small.spec)
        layers = layer_map(self.small.depth, self.large.depth)
        with (
            recorded(self.student, range(self.small.depth)) as ours,
            recorded(self.teacher, layers) as theirs,
        ):
            output = forward(self.student, pixels)
            taught = self._taught(pixels)
        loss = _prediction(output, taught, batch.labels, self.losses in ("pred", "both"))
        if self.losses in ("feat", "both"):
            student, teacher = ([one.float() for one in kept.features] for kept in (ours, theirs))
            loss = subtask_loss(loss, feature_loss(student, teacher, generator, self.alphas), self.beta)
        return Outcome(loss, _right(output.logits, batch.labels))

    @torch.no_grad()
    def _taught(self, pixels: Tensor) -> Output | None:
        return None if self.losses == "labels" else forward(self.teacher.eval(), pixels)


@dataclass(frozen=True, slots=True)
class Fuse:
    """Eq. 14: all parts and their fusion learn from the large model; `into_teacher` is G of eq. 15.

    From step `drop_from` on each part is missing with probability `drop`, so that the fusion learns what
    to do without it.
    """

    ensemble: Ensemble
    into_teacher: nn.Linear
    teacher: nn.Module
    large: Architecture
    losses: EnsembleLosses = "both"
    gamma: float = 1.0
    drop_from: int = 0
    drop: float = 0.0

    def __call__(self, batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        pixels = preprocess(batch.frames, self.large.spec)
        output = forward(self.ensemble, pixels, self._present(len(pixels), step, generator, pixels.device))
        taught = self._taught(pixels)
        loss = _prediction(output, taught, batch.labels, self.losses in ("pred", "both"))
        if taught is not None and self.losses in ("token", "both"):
            loss = ensemble_loss(loss, token_loss(output.token, self.into_teacher, taught.token), self.gamma)
        return Outcome(loss, _right(output.logits, batch.labels))

    def _present(
        self, batch: int, step: int, generator: torch.Generator, device: torch.device
    ) -> Tensor | None:
        if step < self.drop_from or not self.drop:
            return None
        return drop_parts(batch, len(self.ensemble.parts), generator, self.drop).to(device)

    @torch.no_grad()
    def _taught(self, pixels: Tensor) -> Output | None:
        return None if self.losses == "labels" else forward(self.teacher.eval(), pixels)


def _prediction(output: Output, taught: Output | None, labels: Tensor, by_teacher: bool) -> Tensor:
    if taught is None or not by_teacher:
        return F.cross_entropy(output.logits, labels)
    return prediction_loss(output.logits, taught.logits, labels)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).float().mean()
