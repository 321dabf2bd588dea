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
    return described_digest(architecture, state)


def described_digest(description: Mapping[str, object], state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over what describes a model, in plain values, and its float32 weights."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()
