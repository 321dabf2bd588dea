"""The large model of a run, by its name: `large_architecture`, and its weights: `load_large`."""

import re
from dataclasses import replace
from pathlib import Path

from torch import nn

from devit.architecture import CCT_14, HEAD_DIM, Architecture, Kind
from devit.backbones import build, load_weights
from devit.shrink import shrunk
from models.hub import fetch_checkpoint, is_hub_id
from models.registry import get_architecture
from models.weight_files import read_checkpoint
from pipeline.errors import ModelError

CCT = "cct_14_7x2"
OWN = re.compile(r"(vit|deit|cct):(\d{1,4})x(\d{1,4})x(\d{1,5})/(\d{1,4})")


def large_architecture(name: str, input_size: int, num_classes: int) -> Architecture:
    """The model `name` for pictures of `input_size` and so many classes.

    Names are those of the registry, "cct_14_7x2", or KIND:DEPTHxHEADSxMLP/PATCH for one of one's own, such
    as vit:6x4x512/8. Raises ModelError for any other, and for models that cannot be decomposed.
    """
    own = OWN.fullmatch(name)
    if own is not None:
        kind: Kind = "deit" if own[1] == "deit" else "cct" if own[1] == "cct" else "vit"
        depth, heads, mlp, patch = map(int, own.groups()[1:])
        return Architecture(kind, input_size, 1, patch, depth, heads, mlp, num_classes)
    if name == CCT:
        return replace(CCT_14, input_size=input_size, num_classes=num_classes)
    spec = get_architecture(name)
    if spec.pool != "token" or spec.positions != "learned" or spec.dim != HEAD_DIM * spec.num_heads:
        raise ModelError(f"{name}: cannot be decomposed; take a vit_, deit_ or cct_ model with a class token")
    return Architecture(
        "deit" if spec.prefix > 1 else "vit",
        input_size,
        spec.clip_frames,
        spec.patch_size,
        spec.num_layers,
        spec.num_heads,
        4 * spec.dim,
        num_classes,
    )


def load_large(name: str, architecture: Architecture, weights: str | None, seed: int) -> nn.Module:
    """The model of `architecture` with `weights`, a file or a place on a hub; None: fresh ones by `seed`."""
    model = build(architecture, seed=seed)
    if weights is not None:
        known = is_hub_id(weights)
        checkpoint = (
            fetch_checkpoint(weights, get_architecture(name)) if known else read_checkpoint(Path(weights))
        )
        load_weights(model, architecture, {key: one.float() for key, one in checkpoint.state.items()})
    return model


def small_architecture(
    large: Architecture, sigma: float, depth: int | None, heads: int | None, mlp: int | None
) -> Architecture:
    """The architecture of a part: `large` without `sigma` percent of its heads and neurons, and with half of
    its layers, rounded up; what is given stands instead."""
    small = shrunk(large, sigma, depth or -(-large.depth // 2))
    return replace(small, heads=heads or small.heads, mlp=mlp or small.mlp)
