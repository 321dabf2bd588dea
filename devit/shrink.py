"""A small model cut out of a large one: `shrink`, and `shrunk`, which says how small by a percentage.

Every weight of the small model is one of the large model's; nothing is masked, all else is gone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from devit.architecture import HEAD_DIM, Architecture
from devit.backbones import build, check_fit
from devit.importance import Importance
from devit.layers import first_layers
from pipeline.errors import ConfigError, ModelError

AXES = {
    "attn.qkv": ("projected", "channels"),
    "attn.proj": ("channels", "attended"),
    "mlp.fc1": ("neurons", "channels"),
    "mlp.fc2": ("channels", "neurons"),
    "norm1": ("channels",),
    "norm2": ("channels",),
    "norm": ("channels",),
    "fc_norm": ("channels",),
    "head": ("classes", "channels"),
    "head_dist": ("classes", "channels"),
    "attention_pool": ("", "channels"),
    "patch_embed.proj": ("channels",),
    "cls_token": ("", "", "channels"),
    "dist_token": ("", "", "channels"),
    "pos_embed": ("", "", "channels"),
}


def shrunk(large: Architecture, sigma: float, depth: int) -> Architecture:
    """`large` without the last `sigma` percent of its heads and neurons (DeViT, section IV-C), and with
    `depth` layers; at least one of each stays."""
    if not 0 <= sigma < 100:
        raise ConfigError(f"sigma must be 0 or more and below 100 percent, not {sigma:g}")
    heads, mlp = (count - math.floor(count * sigma / 100) for count in (large.heads, large.mlp))
    return replace(large, heads=heads, mlp=mlp, depth=depth)


def shrink(
    teacher: nn.Module, importance: Importance, small: Architecture, classes: Sequence[int] | None = None
) -> nn.Module:
    """A model of architecture `small` that holds what matters most of `teacher`, in training mode.

    Its layers are the first of the teacher (`layers.first_layers`), each with its `small.heads` heads and
    `small.mlp` neurons of most importance; the whole model keeps the `small.dim` channels of most
    importance. What is kept stays in the teacher's order. `classes` are the rows of the class head to
    keep, in their order; None keeps all. Raises ConfigError for more than the teacher has, ModelError
    for a teacher that differs from `small` in anything but depth, heads, neurons and classes.
    """
    source: Any = teacher
    _check(source, importance, classes)
    layers = first_layers(small.depth, len(source.blocks))
    channels = most_important(importance.channels, small.dim, "channels")
    rows = None if classes is None else torch.tensor(classes)
    kept = [
        _Kept(
            channels,
            most_important(importance.heads[layer], small.heads, "heads"),
            most_important(importance.neurons[layer], small.mlp, "neurons"),
            rows,
        )
        for layer in layers
    ]
    state = dict(_cut(teacher.state_dict(), layers, kept))
    student = build(small).to(channels.device)
    check_fit(student.state_dict(), {name: tensor.shape for name, tensor in state.items()}, "teacher")
    student.load_state_dict(state)
    return student


def most_important(scores: Tensor, count: int, what: str) -> Tensor:
    """Indices of the `count` highest of `scores` [n], ascending; of equal ones the first."""
    if not 1 <= count <= len(scores):
        raise ConfigError(f"cannot keep {count} {what} of {len(scores)}")
    return scores.argsort(descending=True, stable=True)[:count].sort().values


@dataclass(frozen=True, slots=True)
class _Kept:
    """Indices of what one layer keeps; `classes` None is all of them."""

    channels: Tensor
    heads: Tensor
    neurons: Tensor
    classes: Tensor | None

    def along(self, axis: str, length: int) -> Tensor | None:
        """What is kept of an axis of `length`, None for all of it."""
        if axis == "channels":
            return self.channels
        if axis == "neurons":
            return self.neurons
        if axis == "classes":
            return self.classes
        if axis == "attended":
            return self._attended()
        if axis == "projected":
            return torch.cat([self._attended() + part * (length // 3) for part in range(3)])
        return None

    def _attended(self) -> Tensor:
        within = torch.arange(HEAD_DIM, device=self.heads.device)
        return (self.heads[:, None] * HEAD_DIM + within).flatten()


def _cut(
    state: dict[str, Tensor], layers: tuple[int, ...], kept: list[_Kept]
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of the small model."""
    places = {layer: place for place, layer in enumerate(layers)}
    for name, tensor in state.items():
        if not name.startswith("blocks."):
            yield name, _selected(name, tensor, kept[0])
            continue
        _, layer, rest = name.split(".", 2)
        if int(layer) in places:
            place = places[int(layer)]
            yield f"blocks.{place}.{rest}", _selected(rest, tensor, kept[place])


def _selected(name: str, tensor: Tensor, kept: _Kept) -> Tensor:
    axes = AXES.get(name.removesuffix(".weight").removesuffix(".bias"), ())
    for dim, axis in enumerate(axes[: tensor.dim()]):
        index = kept.along(axis, tensor.shape[dim])
        if index is not None:
            tensor = tensor.index_select(dim, index.to(tensor.device))
    return tensor


def _check(teacher: Any, importance: Importance, classes: Sequence[int] | None) -> None:
    block, depth = teacher.blocks[0], len(teacher.blocks)
    if block.attn.head_dim != HEAD_DIM:
        raise ModelError(f"teacher: heads of {block.attn.head_dim} channels; only {HEAD_DIM} can be shrunk")
    wanted = (depth, block.attn.num_heads), (depth, block.mlp.fc1.out_features), (block.mlp.fc1.in_features,)
    found = tuple(
        tuple(scores.shape) for scores in (importance.heads, importance.neurons, importance.channels)
    )
    if found != wanted:
        raise ModelError(f"importance of {found} (heads, neurons, channels) for a teacher of {wanted}")
    if classes and not 0 <= min(classes) <= max(classes) < teacher.num_classes:
        raise ModelError(f"classes {list(classes)} are not all among the teacher's {teacher.num_classes}")
