"""The compact convolutional transformer: a convolutional tokenizer, timm's blocks, sequence pooling.

Its parts carry the names that timm's ViT has for the same purpose (`patch_embed.proj`, `pos_embed`,
`blocks`, `norm`, `head`), so that importance, shrinking and recording need not know which it is.
"""

from itertools import pairwise

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from devit.architecture import POOL_STRIDE, Architecture

FIRST_CHANNELS = 64
POOL_KERNEL = 3
POSITION_STD = 0.2
WEIGHT_STD = 0.02


class Tokenizer(nn.Module):
    """Pixels [B, 3, H, W] to tokens [B, n, D]: stages of convolution, ReLU and max pooling.

    `proj` is the last convolution, the one that writes the tokens' channels.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = [3] + [FIRST_CHANNELS] * (architecture.stages - 1) + [architecture.dim]
        kernel, stride = architecture.kernel, architecture.stride
        stages = [
            nn.Conv2d(fan_in, fan_out, kernel, stride, kernel // 2, bias=False)
            for fan_in, fan_out in pairwise(widths)
        ]
        self.first = nn.ModuleList(stages[:-1])
        self.proj = stages[-1]
        self.pool = nn.MaxPool2d(POOL_KERNEL, POOL_STRIDE, POOL_KERNEL // 2)

    def forward(self, pixels: Tensor) -> Tensor:
        for stage in (*self.first, self.proj):
            pixels = self.pool(stage(pixels).relu())
        return pixels.flatten(2).transpose(1, 2)


class Cct(nn.Module):
    """CCT of `architecture`, with timm's three steps: `forward_features`, `forward_head`, `forward`."""

    def __init__(self, architecture: Architecture, drop_path: float = 0.0) -> None:
        super().__init__()
        dim, depth = architecture.dim, architecture.depth
        self.num_classes = architecture.num_classes
        _, height, width = architecture.grid
        self.patch_embed = Tokenizer(architecture)
        self.pos_embed = nn.Parameter(torch.empty(1, height * width, dim))
        self.blocks = nn.Sequential(
            *(
                Block(
                    dim,
                    architecture.heads,
                    mlp_ratio=mlp_ratio(architecture),
                    qkv_bias=True,
                    drop_path=drop_path * index / max(1, depth - 1),
                )
                for index in range(depth)
            )
        )
        self.norm = nn.LayerNorm(dim)
        self.attention_pool = nn.Linear(dim, 1)
        self.head = nn.Linear(dim, architecture.num_classes)
        self._initialise()

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Tokens [B, n, D] after the last norm."""
        normed: Tensor = self.norm(self.blocks(self.patch_embed(pixels) + self.pos_embed))
        return normed

    def forward_head(self, tokens: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits [B, classes] of tokens [B, n, D], or with `pre_logits` the pooled vector [B, D].

        Every token counts by the softmax of one linear score over the sequence.
        """
        pooled: Tensor = (self.attention_pool(tokens).softmax(1) * tokens).sum(1)
        logits: Tensor = pooled if pre_logits else self.head(pooled)
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(pixels))

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=POSITION_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=WEIGHT_STD)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)


def mlp_ratio(architecture: Architecture) -> float:
    """The ratio from which timm, rounding down, makes exactly `architecture.mlp` neurons."""
    return (architecture.mlp + 0.5) / architecture.dim
