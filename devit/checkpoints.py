"""How far a training has come, in a file: `Checkpoint`, and `Sums`, what its latest steps came to."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from devit.backbones import check_fit
from devit.recipe import Recipe
from models.weight_files import first_line
from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigError, ModelError

MODEL, OPTIMIZER = "model.", "optimizer."
SCALAR, LIKE_THE_WEIGHT = {"step"}, {"exp_avg", "exp_avg_sq"}
MOST = 1e100


@dataclass(slots=True)
class Sums:
    """So many steps' losses, shares right and seconds, added up."""

    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    seconds: float = 0.0

    def add(self, loss: float, accuracy: float, seconds: float) -> None:
        """One step more."""
        self.set(self.steps + 1, self.loss + loss, self.accuracy + accuracy, self.seconds + seconds)

    def set(self, steps: int = 0, loss: float = 0.0, accuracy: float = 0.0, seconds: float = 0.0) -> None:
        """Begin from these."""
        self.steps, self.loss, self.accuracy, self.seconds = steps, loss, accuracy, seconds


class Checkpoint:
    """A file that holds how far a training has come, renewed when `every_s` seconds have passed.

    `sums`, which whoever hears the steps adds to, are kept and put back with it.
    """

    def __init__(
        self, path: Path, every_s: float = 30.0, clock: Clock | None = None, sums: Sums | None = None
    ) -> None:
        self._path = path
        self._every_s = every_s
        self._clock = clock or SystemClock()
        self._sums = sums or Sums()
        self._saved_at = self._clock.now()

    @property
    def is_due(self) -> bool:
        return self._clock.now() - self._saved_at >= self._every_s

    def save(self, recipe: Recipe, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write all that `load` needs; a crash while writing leaves the file as it was."""
        state = {MODEL + name: tensor for name, tensor in model.state_dict().items()}
        for index, values in optimizer.state_dict()["state"].items():
            state |= {f"{OPTIMIZER}{index}.{name}": tensor for name, tensor in values.items()}
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        unfinished = self._path.with_name(self._path.name + ".part")
        said = {"recipe": asdict(recipe), "step": step, "sums": asdict(self._sums)}
        save_file(stored, unfinished, {name: json.dumps(value) for name, value in said.items()})
        unfinished.replace(self._path)
        self._saved_at = self._clock.now()

    def load(self, recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Put model and optimizer where they were, and return the next step: 0 where there is no file.

        ConfigError, naming the file, when it is damaged, of another recipe or of another model. One that
        was written before sums were kept leaves them as they are.
        """
        if not self._path.exists():
            return 0
        try:
            with safe_open(self._path, framework="pt") as file:
                step = _step_of(file.metadata() or {}, recipe)
                sums = _sums_of(file.metadata() or {})
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                shapes = {name: torch.Size(one.get_shape()) for name, one in slices.items()}
                _check_shapes(shapes, model, optimizer, step)
                state = {name: file.get_tensor(name) for name in shapes}
        except (SafetensorError, OSError, ValueError, ModelError, ConfigError) as error:
            raise ConfigError(
                f"{self._path}: no checkpoint of this training ({first_line(error)}); remove it to begin anew"
            ) from error
        model.load_state_dict(
            {name.removeprefix(MODEL): one for name, one in state.items() if name.startswith(MODEL)}
        )
        _load_optimizer(optimizer, state)
        self._sums.set(**sums)
        return step


def _step_of(metadata: dict[str, str], recipe: Recipe) -> int:
    if json.loads(metadata.get("recipe", "null")) != asdict(recipe):
        raise ConfigError("is of another recipe")
    step = int(metadata.get("step", ""))
    if not 0 <= step <= recipe.steps:
        raise ConfigError(f"step {step} of {recipe.steps}")
    return step


def _sums_of(metadata: dict[str, str]) -> dict[str, Any]:
    sums = json.loads(metadata.get("sums", "{}"))
    if not isinstance(sums, dict) or sums.keys() - Sums.__slots__ or not all(map(_is_sum, sums.values())):
        raise ConfigError("its sums are none")
    return sums


def _is_sum(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < MOST


def _check_shapes(
    shapes: dict[str, torch.Size], model: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """A parameter that no gradient has reached has no state; any other has all that AdamW keeps of it."""
    own = {name.removeprefix(MODEL): shape for name, shape in shapes.items() if name.startswith(MODEL)}
    check_fit(model.state_dict(), own, "model")
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    found = {name: shape for name, shape in shapes.items() if not name.startswith(MODEL)}
    indices = {int(name.removeprefix(OPTIMIZER).split(".")[0]) for name in found}
    if step and not indices:
        raise ConfigError("holds no state of the optimizer")
    if not all(0 <= index < len(parameters) for index in indices):
        raise ConfigError("its state of the optimizer is of more parameters than the model has")
    for index in indices:
        kept = dict.fromkeys(SCALAR, torch.Size()) | dict.fromkeys(LIKE_THE_WEIGHT, parameters[index].shape)
        for key, shape in kept.items():
            name = f"{OPTIMIZER}{index}.{key}"
            if found.pop(name, None) != shape:
                raise ConfigError(f"{name} is missing or does not fit the model")
    if found:
        raise ConfigError(f"{min(found)} is of no optimizer")


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith(OPTIMIZER):
            index, key = name.removeprefix(OPTIMIZER).split(".", 1)
            values.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
