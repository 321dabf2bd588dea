"""What each training of DeViT starts from: a teacher's head, what matters to a part, a fresh ensemble."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from devit.architecture import Architecture
from devit.backbones import HEADS, build
from devit.data import Pictures
from devit.ensemble import Ensemble
from devit.fusion import Fusion, FusionSpec
from devit.importance import Importance, importance
from devit.losses import map_into_teacher
from devit.randomness import generator_of, seeded
from models.preprocessing import preprocess

By = Literal["subset", "all", "random"]

PICTURES = 1024
BATCH = 64


def cut_head(model: nn.Module, architecture: Architecture, classes: Sequence[int]) -> nn.Module:
    """The same model with the rows `classes` of its head alone, in their order; weights are copied."""
    state = model.state_dict()
    rows = torch.tensor(list(classes))
    for name in state:
        if name.startswith(HEADS):
            state[name] = state[name][rows.to(state[name].device)]
    cut = build(architecture.with_classes(len(classes)))
    cut.load_state_dict(state)
    return cut.to(next(model.parameters()).device)


def find_importance(
    model: nn.Module, architecture: Architecture, pictures: Pictures, seed: int, device: str = "cpu"
) -> Importance:
    """The importance of everything in `model`, by 1024 of `pictures` at most, drawn by `seed`."""
    shown = (one.to(device) for one in pictures.sample(PICTURES, seed).in_order(BATCH))
    return importance(model, ((preprocess(one.frames, architecture.spec), one.labels) for one in shown))


def random_importance(architecture: Architecture, seed: int) -> Importance:
    """What shrinking is to be better than: heads, neurons and channels ranked by lot."""
    drawn = generator_of(seed)
    depth, heads = architecture.depth, architecture.heads
    shapes = ((depth, heads), (depth, architecture.mlp), (architecture.dim,))
    return Importance(*(torch.rand(shape, generator=drawn) for shape in shapes))


def first_ensemble(
    parts: Sequence[nn.Module], spec: FusionSpec, teacher_dim: int, seed: int
) -> tuple[Ensemble, nn.Linear]:
    """Parts with a fusion of fresh weights, and G of eq. 15; `seed` makes both repeatable."""
    with seeded(seed):
        return Ensemble(parts, Fusion(spec)), map_into_teacher(spec.dim, teacher_dim)
