"""How far a training has come, in a file: `Checkpoint`."""

import json
from dataclasses import asdict
from pathlib import Path

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


class Checkpoint:
    """A file that holds how far a training has come, renewed when `every_s` seconds have passed."""

    def __init__(self, path: Path, every_s: float = 30.0, clock: Clock | None = None) -> None:
        self._path = path
        self._every_s = every_s
        self._clock = clock or SystemClock()
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
        save_file(stored, unfinished, {"recipe": json.dumps(asdict(recipe)), "step": str(step)})
        unfinished.replace(self._path)
        self._saved_at = self._clock.now()

    def load(self, recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Put model and optimizer where they were, and return the next step: 0 where there is no file.

        ConfigError, naming the file, when it is damaged, of another recipe or of another model.
        """
        if not self._path.exists():
            return 0
        try:
            with safe_open(self._path, framework="pt") as file:
                step = _step_of(file.metadata() or {}, recipe)
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                shapes = {name: torch.Size(one.get_shape()) for name, one in slices.items()}
                _check_shapes(shapes, model, optimizer)
                state = {name: file.get_tensor(name) for name in shapes}
        except (SafetensorError, OSError, ValueError, ModelError, ConfigError) as error:
            raise ConfigError(
                f"{self._path}: no checkpoint of this training ({first_line(error)}); remove it to begin anew"
            ) from error
        model.load_state_dict(
            {name.removeprefix(MODEL): one for name, one in state.items() if name.startswith(MODEL)}
        )
        _load_optimizer(optimizer, state)
        return step


def _step_of(metadata: dict[str, str], recipe: Recipe) -> int:
    if json.loads(metadata.get("recipe", "null")) != asdict(recipe):
        raise ConfigError("is of another recipe")
    step = int(metadata.get("step", ""))
    if not 0 <= step <= recipe.steps:
        raise ConfigError(f"step {step} of {recipe.steps}")
    return step


def _check_shapes(shapes: dict[str, torch.Size], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    own = {name.removeprefix(MODEL): shape for name, shape in shapes.items() if name.startswith(MODEL)}
    check_fit(model.state_dict(), own, "model")
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for name, shape in shapes.items():
        if name.startswith(MODEL):
            continue
        index = int(name.removeprefix(OPTIMIZER).split(".")[0])
        if not 0 <= index < len(parameters) or shape not in (parameters[index].shape, torch.Size()):
            raise ConfigError(f"{name} does not fit the model")


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith(OPTIMIZER):
            index, key = name.removeprefix(OPTIMIZER).split(".", 1)
            values.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
