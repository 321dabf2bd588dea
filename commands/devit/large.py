"""The large model of a run, by its name: `large_architecture`, and its weights: `load_large`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

from torch import nn

from devit.architecture import CCT_14, HEAD_DIM, Architecture, Kind
from devit.backbones import build, load_weights
from devit.positions import written_out
from devit.shrink import shrunk
from models.hub import fetch_checkpoint, is_hub_id
from models.registry import Architecture as SplitArchitecture
from models.registry import get_architecture, list_models
from models.weight_files import read_checkpoint
from pipeline.errors import ModelError

CCT = "cct_14_7x2"
OWN = re.compile(
    rf"({'|'.join(get_args(Kind))}):(\d{{1,4}})x(\d{{1,4}})x(\d{{1,5}})/(\d{{1,4}})(?:x(\d{{1,4}}))?"
)


def large_architecture(name: str, input_size: int, num_classes: int) -> Architecture:
    """The model `name` for pictures of `input_size` and so many classes.

    Names are those of the registry, "cct_14_7x2", or for one of one's own KIND:DEPTHxHEADSxMLP/PATCH, such
    as vit:6x4x512/8, for clips with xFRAMES behind it. Raises ModelError for any other, and for models that
    cannot be decomposed, ConfigError for sizes that no model can have.
    """
    own = OWN.fullmatch(name)
    if own is not None:
        depth, heads, mlp, patch, frames = map(int, own.groups("1")[1:])
        return Architecture(own[1], input_size, frames, patch, depth, heads, mlp, num_classes)  # type: ignore[arg-type]
    if name == CCT:
        return replace(CCT_14, input_size=input_size, num_classes=num_classes)
    spec = get_architecture(name)
    if spec.dim != HEAD_DIM * spec.num_heads:
        raise ModelError(
            f"{name}: cannot be decomposed, with {spec.dim // spec.num_heads} channels a head; take a model "
            f"of {HEAD_DIM}"
        )
    return Architecture(
        _kind_of(spec),
        input_size,
        spec.clip_frames,
        spec.patch_size,
        spec.num_layers,
        spec.num_heads,
        4 * spec.dim,
        num_classes,
    )


def _kind_of(spec: SplitArchitecture) -> Kind:
    if spec.pool == "mean":
        return "mae_st" if spec.prefix else "videomae"
    return "deit" if spec.prefix > 1 else "vit"


def load_large(name: str, architecture: Architecture, weights: str | None, seed: int) -> nn.Module:
    """The model of `architecture` with `weights`, a file or a place on a hub; None: fresh ones by `seed`."""
    model = build(architecture, seed=seed)
    if weights is not None:
        known = is_hub_id(weights)
        checkpoint = (
            fetch_checkpoint(weights, get_architecture(name)) if known else read_checkpoint(Path(weights))
        )
        spec = get_architecture(name) if name in list_models() else architecture.spec
        state = {key: one.float() for key, one in checkpoint.state.items()}
        load_weights(model, architecture, written_out(state, spec))
    return model


def small_architecture(
    large: Architecture, sigma: float, depth: int | None, heads: int | None, mlp: int | None
) -> Architecture:
    """The architecture of a part: `large` without `sigma` percent of its heads and neurons, and with half of
    its layers, rounded up; what is given stands instead."""
    small = shrunk(large, sigma, depth or -(-large.depth // 2))
    return replace(small, heads=heads or small.heads, mlp=mlp or small.mlp)
