"""From pixels to tokens: patches or tubelets, positions, prefix tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.registry import Architecture


class Projection(nn.Module):
    """A convolution whose kernel equals its stride, as one linear layer over unfolded patches.

    `weight` has the convolution's shape: [D, 3, p, p] for images, [D, 3, t, p, p] for video.
    """

    def __init__(self, spec: Architecture) -> None:
        super().__init__()
        time = (spec.tubelet,) if spec.clip_frames > 1 else ()
        kernel = (*time, spec.patch_size, spec.patch_size)
        self.weight = nn.Parameter(torch.empty(spec.dim, 3, *kernel))
        self.bias = nn.Parameter(torch.zeros(spec.dim))

    def forward(self, patches: Tensor) -> Tensor:
        return F.linear(patches, self.weight.flatten(1), self.bias)


class PatchEmbed(nn.Module):
    """Pixels [B, 3, T, H, W] to patch tokens [B, t * h * w, D], time first, then rows."""

    def __init__(self, spec: Architecture) -> None:
        super().__init__()
        self.tubelet, self.patch, self.grid = spec.tubelet, spec.patch_size, spec.grid
        self.proj = Projection(spec)

    def forward(self, pixels: Tensor) -> Tensor:
        time, height, width = self.grid
        blocks = pixels.reshape(-1, 3, time, self.tubelet, height, self.patch, width, self.patch)
        patches = blocks.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(pixels.shape[0], time * height * width, -1)
        tokens: Tensor = self.proj(patches)
        return tokens


def sine_positions(num_positions: int, dim: int) -> Tensor:
    """Sine and cosine positions [1, n, D], sines on even channels. Vaswani et al. 2017, section 3.5."""
    channel = torch.arange(dim, dtype=torch.float64)
    rate = 10000 ** (-2 * (channel // 2) / dim)
    angle = torch.arange(num_positions, dtype=torch.float64)[:, None] * rate
    table = torch.where(channel % 2 == 0, angle.sin(), angle.cos())
    return table.float().unsqueeze(0)
