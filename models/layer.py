"""One transformer layer, for images and for video, with and without token merging."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.linear import Linear, LinearForm
from models.merging import Tokens, merge

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention in which a token counts for as many patches as it stands for."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv: LinearForm = Linear(dim, 3 * dim)
        self.proj: LinearForm = Linear(dim, dim)

    def forward(self, x: Tensor, normed: Tensor, log_size: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return `x` plus the attention over `normed` [B, n, D], and the keys [B, h, n, d].

        `log_size` [B, 1, 1, n] is added to the keys' logits (proportional attention, ToMe, eq. 1).
        """
        batch, n, dim = normed.shape
        qkv = self.qkv(normed).view(batch, n, 3, self.num_heads, dim // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=log_size)
        return self.proj.add(mixed.transpose(1, 2).reshape(batch, n, dim), x), k


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1: LinearForm = Linear(dim, 4 * dim)
        self.fc2: LinearForm = Linear(4 * dim, dim)

    def forward(self, x: Tensor, normed: Tensor) -> Tensor:
        """Return `x` plus the MLP of `normed`, both [B, n, D]."""
        return self.fc2.add(self.fc1.gelu(normed), x)


class Layer(nn.Module):
    """Pre-norm attention, token merging, pre-norm MLP."""

    def __init__(self, dim: int, num_heads: int, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim)

    def forward(self, tokens: Tokens, removed: int, merged: bool) -> Tokens:
        """Run the layer and merge away `removed` tokens of each clip; `merged` says that some
        token already stands for more than one patch."""
        log_size = tokens.size.log()[:, None, None, :] if merged else None
        x, keys = self.attn(tokens.x, self.norm1(tokens.x), log_size)
        tokens = merge(Tokens(x, tokens.size), keys, removed, self.prefix)
        return Tokens(self.mlp(tokens.x, self.norm2(tokens.x)), tokens.size)
