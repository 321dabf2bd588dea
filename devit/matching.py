"""Comparing features of different sizes: `matching_loss`, and its steps (DeViT, section IV-C, Fig. 6).

How the paper is read here, where it leaves room or swaps its symbols:
- A feature map is one of Q, K and V of one picture, [a, b, c] = [heads, tokens, 64] (section IV-D); a
  batch of them is [B, a, b, c]. The teacher may have more of any dimension (the paper: of one).
- f(X) = X X^T is divided by the number of X's columns: a sum over three times the heads would be three
  times as large, and the sizes are what matching is to be free of.
- Eq. 13 compares distributions: each row of f(X) becomes one by softmax, and the divergence is the mean
  over rows, pictures and the three matrices, so that its size depends on none of their numbers.
- L_KL(p || q) = sum q log(q / p) in eq. 13, with the student first in eq. 12, is KL(teacher || student) as
  it is usually written: zero where they agree, with gradients for the student.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import ModelError


def matricise(features: Tensor, mode: int) -> Tensor:
    """Matrices [B, n, m] of `features` [B, a, b, c]: rows along dimension `mode` (0: a, 1: b, 2: c)."""
    return features.movedim(mode + 1, 1).flatten(2)


def similarity(rows: Tensor) -> Tensor:
    """f(X) = X X^T / m, [B, n, n] for `rows` [B, n, m]."""
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def sample_rows(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` rows of `rows` [B, n, m], the same in all matrices, drawn without repetition, in their order.

    All of them, and nothing drawn, where there are as many. Raises ModelError where there are fewer.
    """
    total = rows.shape[1]
    if total == count:
        return rows
    if total < count:
        raise ModelError(f"the teacher's features have {total} rows, fewer than the student's {count}")
    drawn = torch.randperm(total, generator=generator, device=generator.device)[:count].sort().values
    return rows[:, drawn.to(rows.device)]


def matched(student: Tensor, teacher: Tensor, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """FM: square matrices of one size of the student's and the teacher's features, in each of three ways."""
    for mode in range(3):
        ours, theirs = matricise(student, mode), matricise(teacher, mode)
        yield similarity(ours), similarity(sample_rows(theirs, ours.shape[1], generator))


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Eq. 13: the mean over rows of sum q log(q / p), p and q the softmax of rows [..., n]."""
    p, q = F.log_softmax(student, -1), F.log_softmax(teacher, -1)
    return F.kl_div(p, q, reduction="none", log_target=True).sum(-1).mean()


def matching_loss(student: Tensor, teacher: Tensor, generator: torch.Generator) -> Tensor:
    """The mean divergence of the three matched pairs of features [B, a', b', c'] and [B, a, b, c].

    `generator` draws the teacher's rows anew at each call; a fresh one of the same seed draws the same.
    """
    pairs = matched(student, teacher.detach(), generator)
    return torch.stack([divergence(ours, theirs) for ours, theirs in pairs]).mean()
