"""Files of weights: read without running anything they hold, and checked before they are used."""

import json
import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.checkpoints import Checkpoint
from models.layouts import State, to_our_names
from pipeline.errors import ModelError

WRAPPERS = ("model", "module", "state_dict", "model_state")
SUFFIXES = (".pth", ".pt", ".bin")
NUMBERS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
ZIP_MARK = b"PK\x03\x04"
LEFTOVERS = ("num_batches_tracked", "position_ids")


def read_checkpoint(path: Path, origin: str | None = None) -> Checkpoint:
    """Weights of a .safetensors, .pth, .pt or .bin file under our names; never runs code that it holds.

    Errors call the file `origin`, or by its path. Raises ModelError when there is no such file, when
    it is damaged or of another kind, or when it holds anything but floating-point weights.
    """
    origin = origin or str(path)
    if not path.is_file():
        raise ModelError(f"{origin}: no such file of weights")
    labels = None
    if path.suffix == ".safetensors":
        state, labels = _read_safetensors(path, origin)
    elif path.suffix in SUFFIXES:
        state = _unwrapped(_read_torch(path, origin), origin)
    else:
        raise ModelError(
            f"{origin}: weights must be a .safetensors, {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, "
            f"not {path.suffix or 'this'}"
        )
    return Checkpoint(origin, to_our_names(_plain(state, origin)), labels)


def _read_safetensors(path: Path, origin: str) -> tuple[State, tuple[str, ...] | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{origin}: not a readable safetensors file ({first_line(error)})") from error
    return state, _labels(metadata.get("labels"), origin)


def _labels(text: str | None, origin: str) -> tuple[str, ...] | None:
    if text is None:
        return None
    try:
        labels = json.loads(text)
    except json.JSONDecodeError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f'{origin}: metadata "labels" must be a JSON list of class names, not {text[:60]!r}')
    return tuple(labels)


def _read_torch(path: Path, origin: str) -> Any:
    _check_archive(path, origin)
    try:
        # a Namespace of training options is plain data: making one runs none of the file's code
        with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{origin}: {_refusal(str(error))}") from error
    except Exception as error:  # damaged bytes make the reader fail in any way there is
        raise ModelError(f"{origin}: not a readable file of weights ({first_line(error)})") from error


def _check_archive(path: Path, origin: str) -> None:
    """Refuse a zip file that unpacks to more than itself: torch stores and never compresses."""
    with path.open("rb") as file:
        if file.read(len(ZIP_MARK)) != ZIP_MARK:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError) as error:
        raise ModelError(f"{origin}: not a readable file of weights ({first_line(error)})") from error
    if unpacked_bytes > path.stat().st_size:
        raise ModelError(f"{origin}: would unpack to {unpacked_bytes} bytes; refused unread")


def _refusal(error: str) -> str:
    named = re.search(r"GLOBAL ([\w.]+)", error)
    if named is None:
        return "holds more than weights, or is damaged; refused unread"
    return (
        f"holds more than weights: {named[1]}, which may be code; refused unread. Where the file is trusted, "
        "torch.load(FILE, weights_only=False) reads it: save its model alone, as .safetensors"
    )


def _unwrapped(content: Any, origin: str) -> State:
    """The state dict in what training scripts save: bare, or under one of the usual keys."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(_is_named_tensor, content.items())):
        raise ModelError(
            f"{origin}: expected tensors by name, bare or under {', '.join(map(repr, WRAPPERS))}, "
            f"not {type(content).__name__} of {_kinds(content)}"
        )
    return content


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, Tensor)


def _kinds(content: Any) -> str:
    values = content.values() if isinstance(content, Mapping) else [content]
    return ", ".join(sorted({type(value).__name__ for value in values})) or "nothing"


def _plain(state: State, origin: str) -> State:
    """The floating-point weights of `state`, each backed by as many bytes as its shape says."""
    weights = {name: tensor for name, tensor in state.items() if not name.endswith(LEFTOVERS)}
    for name, tensor in weights.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if tensor.dtype not in NUMBERS or tensor.layout is not torch.strided or tensor.is_meta:
            raise ModelError(
                f"{origin}: {name} is {kind} of layout {tensor.layout}; weights must be plain numbers of "
                "float32, float16, bfloat16 or float64"
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ModelError(
                f"{origin}: {name} claims the shape {list(tensor.shape)}, for which it has too few bytes"
            )
    return weights


def first_line(error: BaseException) -> str:
    """What an error says, without the rest of a long message."""
    return next(iter(str(error).splitlines()), type(error).__name__)
