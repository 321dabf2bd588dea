"""Training a video model on motions: one step at a time, resumable after any of them."""

import math
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from commands.sample.low_frequencies import start_low
from models import build_model
from pipeline.errors import ConfigError

PEAK_RATE, WARM_UP = 1e-3, 200
WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.98)
GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What fixes the outcome of a training: clips by `seed`, `steps` of `batch_size` clips."""

    seed: int
    steps: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or self.seed < 0:
            raise ConfigError(
                f"steps and batch size must be 1 or more and the seed 0 or more, "
                f"not {self.steps}, {self.batch_size} and {self.seed}"
            )

    def rate(self, step: int) -> float:
        """The learning rate of step 0..steps-1: linear warm-up, then a cosine down to zero."""
        warm_up = min(WARM_UP, self.steps // 5)
        if step < warm_up:
            return PEAK_RATE * (step + 1) / warm_up
        return PEAK_RATE * (1 + math.cos(math.pi * (step - warm_up) / (self.steps - warm_up))) / 2


@dataclass(frozen=True, slots=True)
class StepResult:
    """Cross-entropy of one batch, and which share of it was right."""

    loss: float
    accuracy: float


class Training:
    """The motions model with its optimiser, after `step` steps of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.step = 0
        self.model = build_model("motions", seed=schedule.seed)
        start_low(self.model)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), weight_decay=WEIGHT_DECAY, betas=BETAS, fused=True
        )

    def learn(self, clips: Tensor, labels: Tensor) -> StepResult:
        """Take one step on clips uint8 [B, T, H, W, 3] of classes [B]."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        logits = self._logits(clips)
        loss = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return StepResult(loss.item(), (logits.argmax(1) == labels).float().mean().item())

    def _logits(self, clips: Tensor) -> Tensor:
        pixels = self.model.preprocess(clips)
        # The fused attention's backward pass takes five times as long in bfloat16 on a CPU.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16):
            logits: Tensor = self.model(pixels)
        return logits.float()

    def save(self, path: Path) -> None:
        """Write all that `load` needs; a crash while writing leaves the file as it was."""
        state = {
            "schedule": asdict(self.schedule),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        unfinished = path.with_name(path.name + ".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path, schedule: Schedule) -> Self:
        """Go on from a checkpoint; ConfigError when it is damaged or of another schedule."""
        state = _read(path)
        if state["schedule"] != asdict(schedule):
            raise ConfigError(
                f"{path}: is of {state['schedule']}, not {asdict(schedule)}; train without --resume"
            )
        training = cls(schedule)
        training.step = state["step"]
        training.model.load_state_dict(state["model"])
        training._optimizer.load_state_dict(state["optimizer"])
        return training


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(f"{path}: not a readable checkpoint; train without --resume") from error
    if not isinstance(state, dict) or not {"schedule", "step", "model", "optimizer"} <= state.keys():
        raise ConfigError(f"{path}: not a checkpoint of train-sample; train without --resume")
    return state
