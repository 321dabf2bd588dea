"""State dicts under the names and in the shapes in which others publish fine-tuned video models."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from models.registry import Architecture, get_architecture

Make = Callable[[tuple[int, ...]], Tensor]
State = dict[str, Tensor]
VIDEOMAE = [f"videomae_{size}_patch16_16x224" for size in ("small", "base", "large")]
MAE_ST = [f"mae_st_vit_{size}_patch16_16x224" for size in ("base", "large", "huge")]

TO_HUGGING_FACE = {
    "patch_embed.proj.": "videomae.embeddings.patch_embeddings.projection.",
    "pos_embed": "videomae.embeddings.position_embeddings",
    "blocks.": "videomae.encoder.layer.",
    ".attn.proj.": ".attention.output.dense.",
    ".attn.q_bias": ".attention.attention.q_bias",
    ".attn.v_bias": ".attention.attention.v_bias",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
    "head.": "classifier.",
}


def few_layers(name: str, num_layers: int = 2, input_size: int = 64) -> Architecture:
    """The named model with all of its width, and little else."""
    return replace(get_architecture(name), num_layers=num_layers, input_size=input_size)


def drawn(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape) * 0.05


def absent(shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, device="meta")


def mae_st(spec: Architecture, make: Make = drawn) -> State:
    time, height, width = spec.grid
    shapes = {
        "cls_token": (1, 1, spec.dim),
        "pos_embed_spatial": (1, height * width, spec.dim),
        "pos_embed_temporal": (1, time, spec.dim),
        "pos_embed_class": (1, 1, spec.dim),
        **_ends(spec, "norm"),
    }
    for layer in range(spec.num_layers):
        for part in "qkv":
            shapes[f"blocks.{layer}.attn.{part}.weight"] = (spec.dim, spec.dim)
            shapes[f"blocks.{layer}.attn.{part}.bias"] = (spec.dim,)
    return {name: make(shape) for name, shape in shapes.items()}


def videomae(spec: Architecture, make: Make = drawn) -> State:
    shapes = _ends(spec, "fc_norm")
    for layer in range(spec.num_layers):
        shapes[f"blocks.{layer}.attn.qkv.weight"] = (3 * spec.dim, spec.dim)
        shapes[f"blocks.{layer}.attn.q_bias"] = shapes[f"blocks.{layer}.attn.v_bias"] = (spec.dim,)
    return {name: make(shape) for name, shape in shapes.items()}


def hugging_face(state: State) -> State:
    """The weights of `videomae` as Hugging Face names and cuts them."""
    renamed = {}
    for name, tensor in state.items():
        layer, joined, _ = name.partition(".attn.qkv.weight")
        if joined:
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{_theirs(layer)}.attention.attention.{part}.weight"] = piece.contiguous()
        else:
            renamed[_theirs(name)] = tensor
    return renamed


def _theirs(name: str) -> str:
    for old, new in TO_HUGGING_FACE.items():
        name = name.replace(old, new)
    return name


def _ends(spec: Architecture, norm: str) -> dict[str, tuple[int, ...]]:
    """All but positions and attention."""
    dim, patch = spec.dim, spec.patch_size
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (dim, 3, spec.tubelet, patch, patch),
        "patch_embed.proj.bias": (dim,),
        f"{norm}.weight": (dim,),
        f"{norm}.bias": (dim,),
        "head.weight": (spec.num_classes, dim),
        "head.bias": (spec.num_classes,),
    }
    linear = {"attn.proj": (dim, dim), "mlp.fc1": (4 * dim, dim), "mlp.fc2": (dim, 4 * dim)}
    for layer in range(spec.num_layers):
        for name, shape in linear.items():
            shapes[f"blocks.{layer}.{name}.weight"] = shape
            shapes[f"blocks.{layer}.{name}.bias"] = shape[:1]
        for name in ("norm1", "norm2"):
            shapes[f"blocks.{layer}.{name}.weight"] = shapes[f"blocks.{layer}.{name}.bias"] = (dim,)
    return shapes
