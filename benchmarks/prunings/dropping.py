"""Dropping tokens instead of merging them, to compare: the least attended go, as in EViT."""

import torch
from torch import Tensor, nn

from models import SplitViT, Tokens
from models.layer import Layer


class Dropping(nn.Module):
    """A layer that drops, between attention and MLP, those tokens to which the class token attends least."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, tokens: Tokens, removed: int, merged: bool) -> Tokens:
        """Run the layer and drop `removed` tokens of each clip, never the class token."""
        normed = self.layer.norm1(tokens.x)
        x, keys = self.layer.attn(tokens.x, normed, None)
        if removed > 0:
            kept = self._attention(normed, keys).topk(x.shape[1] - 1 - removed, dim=1).indices.sort(dim=1)
            rows = torch.cat([torch.zeros_like(kept.values[:, :1]), kept.values + 1], dim=1)
            x = x.gather(1, rows.unsqueeze(-1).expand(-1, -1, x.shape[2]))
        size = tokens.size[:, : x.shape[1]]
        return Tokens(self.layer.mlp(x, self.layer.norm2(x)), size)

    def _attention(self, normed: Tensor, keys: Tensor) -> Tensor:
        """Of the class token to the others, the mean of all heads [B, n - 1]."""
        batch, heads, _, width = keys.shape
        query = self.layer.attn.qkv(normed[:, :1])[..., : heads * width].view(batch, heads, 1, width)
        scores = (query @ keys.transpose(2, 3)).squeeze(2) * width**-0.5
        return scores.softmax(-1).mean(1)[:, 1:]


def drop_instead(model: SplitViT) -> SplitViT:
    """`model`, changed so that its layers drop where they merged."""
    model.blocks = nn.ModuleList(Dropping(layer) for layer in model.layers)
    return model
