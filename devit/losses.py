"""What small models are trained for: DeViT's eq. 8, 10 and 12 for a part, 10, 14 and 15 for an ensemble.

Teachers' outputs are constants: no gradient flows into them. Terms stand alone, so that any may be left
out (Tables VII and VIII).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devit.matching import matching_loss

ALPHAS = (1.0, 1.0, 1.0)


def prediction_loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of logits [B, C], half with `labels`, half with the teacher's decisions (eq. 9 and 10).

    `labels` are classes [B], or probabilities [B, C] where pictures were mixed. Eq. 11 writes the
    prediction first and would take the logarithm of a hard label; it is meant, and is here, the other
    way round: -sum y log(prediction).
    """
    decisions = teacher.detach().argmax(1)
    return (F.cross_entropy(student, labels) + F.cross_entropy(student, decisions)) / 2


def feature_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    generator: torch.Generator,
    alphas: Sequence[float] = ALPHAS,
) -> Tensor:
    """Eq. 12: the mean over l layers and over Q, K and V, weighted by `alphas`, of how far they are matched.

    Both are lists of l tensors [3, B, h, n, 64] (`recording`): the student's layers j, and the teacher's
    layers g(j) (`layers.layer_map`). `generator` draws the teacher's rows.
    """
    terms = [
        alpha * matching_loss(ours, theirs, generator)
        for layers in zip(student, teacher, strict=True)
        for alpha, ours, theirs in zip(alphas, *layers, strict=True)
    ]
    return torch.stack(terms).mean()


def token_loss(fused: Tensor, into_teacher: nn.Linear, teacher: Tensor) -> Tensor:
    """Eq. 15: mean squared error of fused tokens [B, D], mapped linearly, to the teacher's [B, D_t]."""
    return F.mse_loss(into_teacher(fused), teacher.detach())


def map_into_teacher(dim: int, teacher_dim: int) -> nn.Linear:
    """G of eq. 15: learnt with the fusion and not needed after it."""
    return nn.Linear(dim, teacher_dim, bias=False)


def subtask_loss(prediction: Tensor, feature: Tensor, beta: float) -> Tensor:
    """Eq. 8."""
    return prediction + beta * feature


def ensemble_loss(prediction: Tensor, token: Tensor, gamma: float) -> Tensor:
    """Eq. 14."""
    return prediction + gamma * token
