"""A fingerprint of a model that two processes compare before they share its layers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from models.registry import Architecture


def weights_digest(spec: Architecture, state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over the architecture and the float32 weights, whatever form they run in."""
    architecture = asdict(spec)
    del architecture["labels"]
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()
