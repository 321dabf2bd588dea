"""Positions of the registry's video models as one table, as models that are trained here have them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from devit.backbones import check_fit
from models.embedding import sine_positions
from models.registry import Architecture

LAST_NORM = "norm."


def written_out(state: Mapping[str, Tensor], spec: Architecture) -> dict[str, Tensor]:
    """Weights of a SplitViT of `spec`, as `backbones.build` has those of the same kind.

    Separable positions and sine positions become `pos_embed` [1, n, D]; where `state` has that already, as
    weights that were trained here do, it stays. The norm behind pooling by mean is always `fc_norm`. Raises
    ModelError for separable positions that do not fit `spec`.
    """
    named = {_behind_pooling(name) if spec.pool == "mean" else name: one for name, one in state.items()}
    if "pos_embed" in named:
        return named
    if spec.positions == "sine":
        return named | {"pos_embed": sine_positions(spec.num_patches, spec.dim)}
    return _without_separable(named, spec) if spec.positions == "separable" else named


def _behind_pooling(name: str) -> str:
    return f"fc_{name}" if name.startswith(LAST_NORM) else name


def _without_separable(state: Mapping[str, Tensor], spec: Architecture) -> dict[str, Tensor]:
    time, height, width = spec.grid
    lengths = {"pos_embed_class": 1, "pos_embed_spatial": height * width, "pos_embed_temporal": time}
    with torch.device("meta"):
        wanted = {name: torch.empty(1, length, spec.dim) for name, length in lengths.items()}
    check_fit(wanted, {name: state[name].shape for name in lengths if name in state}, "weights")
    first, spatial, temporal = (state[name] for name in lengths)
    patches = spatial.repeat(1, time, 1) + temporal.repeat_interleave(height * width, dim=1)
    others = {name: tensor for name, tensor in state.items() if name not in lengths}
    return others | {"pos_embed": torch.cat([first, patches], dim=1)}
