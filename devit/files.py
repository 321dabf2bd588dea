"""Files of parts and of fusions: `save_part`, `load_part`, `save_fusion`, `load_fusion`.

One safetensors each, with what it says of itself (`records`) as metadata. A digest is over weights and
architecture, and that of a fusion over the digests of its parts and its labels. Tensors are read only after
their names, shapes and types are known to be those of the architecture that the file names.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from devit.architecture import Architecture
from devit.backbones import build, check_fit
from devit.fusion import Fusion, FusionSpec
from devit.records import FUSION, PART, FusionInfo, Info, PartInfo, from_metadata, to_metadata
from models.digest import described_digest
from models.weight_files import first_line
from pipeline.errors import ModelError


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it was saved: in evaluation mode, without gradients."""

    model: nn.Module
    info: PartInfo
    digest: str


@dataclass(frozen=True, slots=True)
class SavedFusion:
    """A fusion as it was saved: in evaluation mode, without gradients."""

    fusion: Fusion
    info: FusionInfo
    digest: str


def digest_of(description: Architecture | FusionInfo, module: nn.Module) -> str:
    """Hex sha256 over the weights of a teacher, a part or a fusion, and what `description` covers of it."""
    covered = description.covered if isinstance(description, FusionInfo) else asdict(description)
    return described_digest(covered, module.state_dict())


def save_part(path: Path, model: nn.Module, info: PartInfo) -> str:
    """Write `model` and return its digest; a crash while writing leaves the file as it was.

    Raises ModelError where the file cannot be written or `model` is not what `info` says.
    """
    return _write(path, PART, model, info)


def save_fusion(path: Path, fusion: Fusion, info: FusionInfo) -> str:
    """Write `fusion` and return its digest; for the rest as `save_part`."""
    return _write(path, FUSION, fusion, info)


def load_part(path: Path) -> Part:
    """The part in `path`; ModelError, naming the file, for anything that is not one or does not fit."""
    model, info, digest = _read(path, PART)
    return Part(model, info, digest)


def load_fusion(path: Path, parts: Sequence[str] | None = None) -> SavedFusion:
    """The fusion in `path`, for parts of the digests `parts` in their order; None is for any parts.

    ModelError, naming the file, for other parts and for anything that is no fusion or does not fit.
    """
    fusion, info, digest = _read(path, FUSION)
    if parts is not None:
        _check_parts(path, info.parts, tuple(parts))
    return SavedFusion(fusion, info, digest)


def _check_parts(path: Path, trained: tuple[str, ...], given: tuple[str, ...]) -> None:
    if len(given) != len(trained):
        raise ModelError(f"{path}: was trained with {len(trained)} parts, not {len(given)}")
    for place, (wanted, digest) in enumerate(zip(trained, given, strict=True), start=1):
        if wanted != digest:
            raise ModelError(
                f"{path}: part {place} must be {wanted[:8]}, with which it was trained, not {digest[:8]}"
            )


def _write(path: Path, kind: str, module: nn.Module, info: Info) -> str:
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in module.state_dict().items()}
    check_fit(_weightless(info).state_dict(), {name: one.shape for name, one in state.items()}, str(path))
    digest = described_digest(info.covered, state)
    unfinished = path.with_name(path.name + ".part")
    try:
        save_file(state, unfinished, to_metadata(kind, info, digest))
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be written: {first_line(error)}") from error
    return digest


def _read(path: Path, kind: str) -> tuple[Any, Any, str]:
    """The module in `path`, what the file says of itself, and its digest."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a {kind}")
    try:
        with safe_open(path, framework="pt") as file:
            info, digest = from_metadata(file.metadata() or {}, kind, path)
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            module = _claimed(path, info, slices)
            state = {name: file.get_tensor(name) for name in slices}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({first_line(error)})") from error
    _check_values(path, info, state, digest)
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False), info, digest


def _claimed(path: Path, info: Info, slices: dict[str, Any]) -> nn.Module:
    """The module that `info` describes, without memory for its weights, once the file's tensors fit it."""
    least = info.architecture.depth if isinstance(info, PartInfo) else len(info.spec.dims)
    if least > len(slices):
        raise ModelError(f"{path}: holds {len(slices)} tensors, too few for what it says it is")
    module = _weightless(info)
    check_fit(
        module.state_dict(), {name: torch.Size(one.get_shape()) for name, one in slices.items()}, str(path)
    )
    others = sorted({one.get_dtype() for one in slices.values()} - {"F32"})
    if others:
        raise ModelError(f"{path}: weights must be F32, not {', '.join(others)}")
    return module


def _check_values(path: Path, info: Info, state: dict[str, Tensor], digest: str) -> None:
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{path}: {name} holds values that are NaN or infinite; give an intact file")
    if described_digest(info.covered, state) != digest:
        covered = "weights are" if info.version == 1 else "weights, parts or labels are"
        raise ModelError(f"{path}: its {covered} not those that were saved; give an intact file")


def _weightless(info: Info) -> nn.Module:
    return copy.deepcopy(_blank(_description(info)))


@lru_cache(maxsize=16)
def _blank(description: Architecture | FusionSpec) -> nn.Module:
    """Kept, since timm draws weights even where there is no memory for them, which is slow."""
    with torch.device("meta"):
        return build(description) if isinstance(description, Architecture) else Fusion(description)


def _description(info: Info) -> Architecture | FusionSpec:
    return info.architecture if isinstance(info, PartInfo) else info.spec
