"""Models of an `Architecture`: `build` one, `load_weights` into it, `run` it, or `to_split` it.

ViT, DeiT and the models of clips are timm's, under timm's names; CCT is ours (devit/cct.py), under the same
ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.patch_embed import resample_patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from devit.architecture import Architecture
from devit.cct import Cct, mlp_ratio
from models.embedding import PatchEmbed
from models.initial import initialise
from models.vit import SplitViT
from pipeline.errors import ModelError

HEADS = ("head.", "head_dist.")


@dataclass(frozen=True, slots=True)
class Output:
    """What one run gives: the feature token [B, D] and the logits [B, classes]."""

    token: Tensor
    logits: Tensor


class Tubelets(PatchEmbed):
    """The patches of a clip [B, 3, T, H, W] as timm's ViT takes them, under the names of `models`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture.spec)
        self.num_patches = architecture.spec.num_patches
        initialise(self, None)


def build(architecture: Architecture, drop_path: float = 0.0, seed: int | None = None) -> nn.Module:
    """A float32 model with fresh weights, in training mode; `seed` makes them repeatable.

    It takes pixels [B, 3, H, W], or clips [B, 3, T, H, W]. `drop_path` is the rate of the last layer.
    """
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        if architecture.kind == "cct":
            return Cct(architecture, drop_path)
        return _vit(architecture, drop_path)


def _vit(architecture: Architecture, drop_path: float) -> nn.Module:
    kind, spec = (
        VisionTransformerDistilled if architecture.kind == "deit" else VisionTransformer,
        architecture.spec,
    )
    options: dict[str, Any] = {}
    if spec.pool == "mean":
        options = {"global_pool": "avg", "class_token": spec.prefix == 1}
    if architecture.frames > 1:
        options["embed_layer"] = lambda **_: Tubelets(architecture)
    model: nn.Module = kind(
        img_size=architecture.input_size,
        patch_size=architecture.patch,
        num_classes=architecture.num_classes,
        embed_dim=architecture.dim,
        depth=architecture.depth,
        num_heads=architecture.heads,
        mlp_ratio=mlp_ratio(architecture),
        drop_path_rate=drop_path,
        **options,
    )
    return model


def run(model: nn.Module, pixels: Tensor) -> Output:
    """Feature token and logits of `pixels`, in one pass.

    The token is the class token after the last norm; for a DeiT the mean of class and distillation
    token, each of which has its own head; for a CCT the pooled sequence; for MAE-ST and VideoMAE the
    mean of all other tokens, normed.
    """
    backbone: Any = model
    tokens = backbone.forward_features(pixels)
    return Output(backbone.forward_head(tokens, pre_logits=True), backbone.forward_head(tokens))


def load_weights(model: nn.Module, architecture: Architecture, state: Mapping[str, Tensor]) -> None:
    """Copy weights under timm's names into `model`.

    Positions are resampled where the input size differs, those of a clip frame by frame; so are patches of
    images. A head for another number of classes leaves the model's own as it is. Raises ModelError for
    anything else that does not fit.
    """
    own = model.state_dict()
    kept = {name: tensor for name, tensor in own.items() if name.startswith(HEADS)}
    fitted = {name: _resampled(name, tensor, architecture) for name, tensor in state.items()}
    if any(name in fitted and fitted[name].shape != tensor.shape for name, tensor in kept.items()):
        fitted |= kept
    check_fit(own, {name: tensor.shape for name, tensor in fitted.items()}, "weights")
    model.load_state_dict(fitted)


def _resampled(name: str, tensor: Tensor, architecture: Architecture) -> Tensor:
    if name == "pos_embed" and tensor.dim() == 3:
        return _resampled_positions(tensor, architecture)
    if name == "patch_embed.proj.weight" and tensor.dim() == 4 and architecture.kind != "cct":
        patches: Tensor = resample_patch_embed(tensor, [architecture.patch, architecture.patch])
        return patches
    return tensor


def _resampled_positions(tensor: Tensor, architecture: Architecture) -> Tensor:
    """Positions [1, n, D] for `architecture`; as they are where they are of no square of as many frames."""
    time, height, width = architecture.grid
    count = max(0, tensor.shape[1] - architecture.prefix)
    side = math.isqrt(count // time)
    if side in (0, height) or side * side * time != count or len(tensor) != 1:
        return tensor
    prefix, patches = tensor[:, : architecture.prefix], tensor[0, architecture.prefix :]
    by_time = patches.reshape(time, side * side, -1)
    planes = [resample_abs_pos_embed(one[None], [height, width], num_prefix_tokens=0) for one in by_time]
    return torch.cat([prefix, *planes], dim=1)


def check_fit(own: Mapping[str, Tensor], given: Mapping[str, torch.Size], origin: str) -> None:
    """ModelError, calling the weights `origin`, unless they have exactly the names and shapes of `own`."""
    for name in sorted(own.keys() | given.keys()):
        if name not in given:
            raise ModelError(f"{origin}: {name} is missing")
        if name not in own:
            raise ModelError(f"{origin}: {name} is unexpected")
        if own[name].shape != given[name]:
            raise ModelError(f"{origin}: {name} is {list(given[name])}, not {list(own[name].shape)}")


def to_split(model: nn.Module, architecture: Architecture) -> SplitViT:
    """The same function as a SplitViT, which can be cut and thinned; ModelError for what it cannot be."""
    if architecture.kind == "cct" or architecture.mlp != 4 * architecture.dim:
        raise ModelError(
            f"{architecture.kind} with {architecture.mlp} neurons a layer: only what is no cct, and of "
            f"{4 * architecture.dim}, can be split"
        )
    split = SplitViT(architecture.spec)
    split.load_state_dict(model.state_dict())
    return split
