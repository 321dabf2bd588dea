"""The plain formulation of a layer with token merging, to check and to measure ours against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layer import Layer
from models.merging import Tokens


def plain_layer(layer: Layer, tokens: Tokens, removed: int) -> Tokens:
    """What `layer` computes, step by step: explicit attention product, argsort, scatter.

    Follows the ToMe paper's reference form: every token is scaled by its size, scattered, divided.
    """
    x, keys = plain_attention(layer, tokens)
    x, size = plain_merge(x, tokens.size, keys, removed, layer.prefix)
    hidden = F.gelu(layer.mlp.fc1(layer.norm2(x)))
    return Tokens(x + layer.mlp.fc2(hidden), size)


def plain_attention(layer: Layer, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """`x` after attention [B, n, D] and the keys [B, h, n, d], by softmax of the whole product."""
    batch, n, dim = tokens.x.shape
    heads = layer.attn.num_heads
    qkv = layer.attn.qkv(layer.norm1(tokens.x)).reshape(batch, n, 3, heads, dim // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    logits = q * (dim // heads) ** -0.5 @ k.transpose(-2, -1) + tokens.size.log()[:, None, None, :]
    mixed = (logits.softmax(-1) @ v).transpose(1, 2).reshape(batch, n, dim)
    return tokens.x + layer.attn.proj(mixed), k


def plain_merge(x: Tensor, size: Tensor, keys: Tensor, removed: int, prefix: int) -> tuple[Tensor, Tensor]:
    """Merge `removed` even tokens into odd ones; the prefix stays in front."""
    if removed == 0:
        return x, size
    scores = _scores(keys, prefix)
    best, partner = scores.max(dim=-1)
    order = best.argsort(dim=-1, descending=True)
    merged, spared = order[:, :removed], order[:, removed:].sort(dim=-1).values
    target = partner.gather(1, merged)
    size = size.unsqueeze(-1)
    sums, sizes = (_scattered(rows, merged, spared, target, prefix) for rows in (x * size, size))
    return sums / sizes, sizes.squeeze(-1)


def _scores(keys: Tensor, prefix: int) -> Tensor:
    metric = F.normalize(keys.mean(1), dim=-1)
    scores = metric[:, ::2] @ metric[:, 1::2].transpose(-1, -2)
    scores[:, : (prefix + 1) // 2] = -torch.inf
    scores[:, :, : prefix // 2] = -torch.inf
    return scores


def _scattered(rows: Tensor, merged: Tensor, spared: Tensor, target: Tensor, prefix: int) -> Tensor:
    """Sum the merged even rows into their targets: prefix, then spared even rows, then odd rows."""
    even, odd = rows[:, ::2], rows[:, 1::2]
    width = rows.shape[-1]
    source = even.gather(1, merged.unsqueeze(-1).expand(-1, -1, width))
    rest = even.gather(1, spared.unsqueeze(-1).expand(-1, -1, width))
    odd = odd.scatter_add(1, target.unsqueeze(-1).expand(-1, -1, width), source)
    evens, odds = (prefix + 1) // 2, prefix // 2
    return torch.cat([rest[:, :evens], odd[:, :odds], rest[:, evens:], odd[:, odds:]], dim=1)
