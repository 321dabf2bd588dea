"""Architectures that are small enough to build and train in a test."""

import torch
from torch import Tensor

from devit.architecture import Architecture

VIT = Architecture("vit", 32, 1, 16, depth=3, heads=2, mlp=96, num_classes=5)
DEIT = Architecture("deit", 32, 1, 16, depth=3, heads=2, mlp=96, num_classes=5)
CCT = Architecture("cct", 32, 1, 16, depth=3, heads=2, mlp=96, num_classes=5, kernel=5)
CLIPS = Architecture("vit", 32, 4, 16, depth=3, heads=2, mlp=512, num_classes=5)
MAE_ST = Architecture("mae_st", 32, 4, 16, depth=3, heads=2, mlp=512, num_classes=5)
VIDEOMAE = Architecture("videomae", 32, 4, 16, depth=3, heads=2, mlp=512, num_classes=5)
EVERY_KIND = (VIT, DEIT, CCT, CLIPS, MAE_ST, VIDEOMAE)


def pixels_for(architecture: Architecture, batch: int = 3, seed: int = 0) -> Tensor:
    time = (architecture.frames,) if architecture.frames > 1 else ()
    shape = (batch, 3, *time, architecture.input_size, architecture.input_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
