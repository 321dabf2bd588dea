"""Random weights that are the same on every machine for the same seed."""

import math

import torch
from torch import Tensor, nn

TOKEN_STD = 0.02


def initialise(model: nn.Module, seed: int | None) -> None:
    """Fill every parameter: Xavier-uniform matrices, small uniform tokens and positions.

    Norms keep their ones, biases are zero. `seed` None draws from torch's global generator.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            limit = _limit(name, parameter)
            if name.endswith("bias"):
                parameter.zero_()
            elif limit > 0:
                parameter.uniform_(-limit, limit, generator=generator)


def _limit(name: str, parameter: Tensor) -> float:
    if parameter.dim() == 1:
        return 0.0
    if name.endswith(".weight"):
        fan_out, fan_in = parameter.flatten(1).shape
        return math.sqrt(6 / (fan_in + fan_out))
    return TOKEN_STD * math.sqrt(3)
