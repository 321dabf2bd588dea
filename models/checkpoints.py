"""Weights from files and from timm's hub, and whether they fit a model."""

import json
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.registry import Architecture
from models.vit import SplitViT
from pipeline.errors import ModelError

WRAPPERS = ("model", "state_dict", "model_state")
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by name, where they came from, and the names of the classes if the file has them."""

    origin: str
    state: Mapping[str, Tensor]
    labels: tuple[str, ...] | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """Weights of a .safetensors, .pth or .pt file; never runs code that a file holds.

    Raises ModelError when there is no such file, or when it is damaged or of another kind.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt"):
        return Checkpoint(str(path), _unwrapped(_read_torch(path), path))
    raise ModelError(f"{path}: weights must be a .safetensors, .pth or .pt file, not {path.suffix or 'this'}")


def fetch_pretrained(name: str) -> Checkpoint:
    """The weights that timm publishes for an image model; ModelError without a network or weights."""
    import timm  # noqa: PLC0415 - takes seconds, and only this function needs it

    origin = f"timm's pretrained weights of {name}"
    if not timm.is_model(name):
        raise ModelError(f"{origin}: there are none; give a file of weights")
    try:
        return Checkpoint(origin, timm.create_model(name, pretrained=True).state_dict())
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{origin}: cannot be fetched ({_line(error)}); give a file of weights") from error


def adapt(spec: Architecture, checkpoint: Checkpoint, num_classes: int | None) -> Architecture:
    """`spec` with the head that the checkpoint has: number of classes, their names, mean pooling."""
    if spec.clip_frames == 1 and "fc_norm.weight" in checkpoint.state:
        spec = spec.pooled_by_mean()
    head = checkpoint.state.get("head.weight")
    if num_classes is None and head is not None and head.dim() == 2:
        num_classes = head.shape[0]
    spec = spec.with_classes(num_classes)
    if checkpoint.labels is not None and len(checkpoint.labels) == spec.num_classes:
        spec = replace(spec, labels=checkpoint.labels)
    return spec


def load_into(model: SplitViT, checkpoint: Checkpoint) -> None:
    """Copy the checkpoint's weights into `model`; ModelError names every kind of misfit."""
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    given = {name: tensor.shape for name, tensor in checkpoint.state.items()}
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys()),
        "misshapen": [
            f"{name} {list(given[name])} for {list(shape)}"
            for name, shape in wanted.items()
            if name in given and given[name] != shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{len(names)} {kind}: {_few(names)}" for kind, names in faults.items() if names)
        raise ModelError(
            f"{checkpoint.origin}: does not fit {model.name} of {model.num_classes} classes: {listed}"
        )
    model.load_state_dict(checkpoint.state)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({_line(error)})") from error
    return Checkpoint(str(path), state, _labels(metadata.get("labels"), path))


def _labels(text: str | None, path: Path) -> tuple[str, ...] | None:
    if text is None:
        return None
    try:
        labels = json.loads(text)
    except json.JSONDecodeError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f'{path}: metadata "labels" must be a JSON list of class names, not {text[:60]!r}')
    return tuple(labels)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path}: holds more than weights, or is damaged; refused unread") from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable file of weights ({_line(error)})") from error


def _unwrapped(content: Any, path: Path) -> Mapping[str, Tensor]:
    """The state dict in what training scripts save: bare, or under one of the usual keys."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ModelError(
            f"{path}: expected tensors by name, bare or under {', '.join(map(repr, WRAPPERS))}, "
            f"not {type(content).__name__} of {_kinds(content)}"
        )
    return content


def _kinds(content: Any) -> str:
    values = content.values() if isinstance(content, Mapping) else [content]
    return ", ".join(sorted({type(value).__name__ for value in values})) or "nothing"


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
