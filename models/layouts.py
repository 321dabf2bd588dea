"""The layouts in which ViTs for video are published, turned into our own names and shapes."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from models.embedding import sine_positions

State = Mapping[str, Tensor]

HUGGING_FACE = "videomae.embeddings.patch_embeddings.projection.weight"
VIDEOMAE = "blocks.0.attn.q_bias"
BFLOAT16_STEP = 2**-8

# longer names first: ".output.dense." also ends ".attention.output.dense."
FROM_HUGGING_FACE = (
    ("videomae.embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("videomae.embeddings.position_embeddings", "pos_embed"),
    ("videomae.encoder.layer.", "blocks."),
    (".attention.attention.q_bias", ".attn.q_bias"),
    (".attention.attention.v_bias", ".attn.v_bias"),
    (".attention.attention.query.bias", ".attn.q_bias"),
    (".attention.attention.value.bias", ".attn.v_bias"),
    (".attention.attention.query.", ".attn.q."),
    (".attention.attention.key.", ".attn.k."),
    (".attention.attention.value.", ".attn.v."),
    (".attention.output.dense.", ".attn.proj."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    ("classifier.", "head."),
)
FROM_VIDEOMAE = ((".attn.q_bias", ".attn.q.bias"), (".attn.v_bias", ".attn.v.bias"))


def to_our_names(state: State) -> State:
    """`state` as SplitViT names and shapes it; what belongs to no known layout stays as it is.

    Known are timm and DeiT (the names that we use), MAE-ST (q, k and v apart), and VideoMAE (no bias
    for k) as its authors and as Hugging Face publish it.
    """
    if HUGGING_FACE in state:
        state = _renamed(state, FROM_HUGGING_FACE)
    if VIDEOMAE in state:
        state = _with_key_biases(_renamed(state, FROM_VIDEOMAE))
    return _joined(state)


def _renamed(state: State, table: Iterable[tuple[str, str]]) -> State:
    """The same tensors under new names; `state` itself where two of them would have one name."""
    renamed = {}
    for name, tensor in state.items():
        for old, new in table:
            name = name.replace(old, new)  # noqa: PLW2901 - one name on its way through the table
        renamed[name] = tensor
    return renamed if len(renamed) == len(state) else state


def _with_key_biases(state: State) -> State:
    """With the bias of zero that VideoMAE's k has."""
    suffix = ".attn.q.bias"
    biases = {
        f"{name.removesuffix(suffix)}.attn.k.bias": torch.zeros_like(tensor)
        for name, tensor in state.items()
        if name.endswith(suffix)
    }
    return biases | dict(state)


def _joined(state: State) -> State:
    """With q, k and v of each layer as one matrix [3 * D, D] and one bias [3 * D]."""
    joined = dict(state)
    for name in state:
        layer, mark, kind = name.partition(".attn.q.")
        names = [f"{layer}.attn.{part}.{kind}" for part in "qkv"]
        if mark and all(part in state for part in names):
            parts = [state[part] for part in names]
            if parts[0].dim() > 0 and len({part.shape for part in parts}) == 1:
                joined[f"{layer}.attn.qkv.{kind}"] = torch.cat(parts)
                for part in names:
                    del joined[part]
    return joined


def without_sine(state: State, num_patches: int, dim: int) -> State:
    """`state` without its table of sine positions, which some files hold and ours compute, if it is the one
    for this many patches; any other table stays and will not fit."""
    table = state.get("pos_embed")
    if table is None or table.shape != (1, num_patches, dim):
        return state
    if not torch.allclose(table.float(), sine_positions(num_patches, dim), rtol=0, atol=BFLOAT16_STEP):
        return state
    return {name: tensor for name, tensor in state.items() if name != "pos_embed"}
