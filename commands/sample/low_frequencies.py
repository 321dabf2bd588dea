"""A start from which a video transformer learns motion in minutes: it sees smooth shapes and change."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models import SplitViT

GREY_SHARE = 5 / 8
STEADY_GAIN, CHANGE_GAIN = 0.25, 0.7
POSITION_GAIN = 15.0
CHROMA = ((1.0, -1.0, 0.0), (0.5, 0.5, -1.0))


def start_low(model: SplitViT) -> None:
    """Replace the random patch embedding by cosines of low frequency, and enlarge the positions.

    Every even channel sees the sum of a tubelet's two frames, every odd one their difference. From
    white noise, which hardly sees shapes larger than a few pixels, learning stays near chance for
    more than ten times as long.
    """
    weight = model.patch_embed.proj.weight
    with torch.no_grad():
        weight.copy_(_filters(weight.shape[0], weight.shape[-1]))
        for name, parameter in model.named_parameters():
            if name.startswith("pos_embed"):
                parameter.mul_(POSITION_GAIN)


def _filters(dim: int, patch: int) -> Tensor:
    """Filters [dim, 3, 2, patch, patch] of unit norm times their gain."""
    grey = round(dim // 2 * GREY_SHARE)
    waves = _cosines(grey, patch)
    colours = [torch.ones(3)] * grey + [torch.tensor(CHROMA[i % 2]) for i in range(dim // 2 - grey)]
    times = ((torch.tensor([1.0, 1.0]), STEADY_GAIN), (torch.tensor([-1.0, 1.0]), CHANGE_GAIN))
    filters = [
        gain * F.normalize(torch.einsum("c,t,yx->ctyx", colour, time, waves[i % grey]).flatten(), dim=0)
        for i, colour in enumerate(colours)
        for time, gain in times
    ]
    return torch.stack(filters).view(dim, 3, 2, patch, patch)


def _cosines(count: int, patch: int) -> list[Tensor]:
    """The `count` smoothest patterns [patch, patch] of the two-dimensional cosine transform."""
    place = (torch.arange(patch) + 0.5) * (math.pi / patch)
    pairs = sorted(((y, x) for y in range(patch) for x in range(patch)), key=lambda pair: math.hypot(*pair))
    return [torch.outer(torch.cos(y * place), torch.cos(x * place)) for y, x in pairs[:count]]
