import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from devit.matching import divergence, matched, matching_loss, matricise, sample_rows, similarity
from pipeline.errors import ModelError

sizes = st.tuples(*[st.integers(1, 4)] * 4)


def random_features(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def plain_divergence(student: np.ndarray, teacher: np.ndarray) -> float:
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        p, q = (np.exp(row) / np.exp(row).sum() for row in (ours, theirs))
        total += sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    return total / len(student)


def plain_loss(student: np.ndarray, teacher: np.ndarray) -> float:
    """The formula for one picture, element by element, where student and teacher have as many rows."""
    total = 0.0
    for mode in range(3):
        squares = []
        for features in (student, teacher):
            rows = [features.take(index, mode).ravel() for index in range(features.shape[mode])]
            squares.append(np.array([[float(np.mean(x * y)) for y in rows] for x in rows]))
        total += plain_divergence(*squares)
    return total / 3


@given(sizes, st.integers(0, 2))
def test_a_matrix_has_one_row_for_each_place_along_its_dimension(shape: tuple[int, ...], mode: int) -> None:
    features = random_features(shape)
    matrix = matricise(features, mode)
    assert matrix.shape == (shape[0], shape[mode + 1], math.prod(shape[1:]) // shape[mode + 1])
    for picture, rows in zip(features.numpy(), matrix.numpy(), strict=True):
        for index, row in enumerate(rows):
            assert np.array_equal(row, picture.take(index, mode).ravel())


@given(sizes, st.integers(0, 2**31))
@settings(deadline=None)
def test_the_loss_is_the_plain_formula(shape: tuple[int, ...], seed: int) -> None:
    student, teacher = random_features(shape, seed), random_features(shape, seed + 1)
    plain = [plain_loss(*pair) for pair in zip(student.numpy(), teacher.numpy(), strict=True)]
    loss = matching_loss(student, teacher, torch.Generator())
    assert loss.item() == pytest.approx(sum(plain) / len(plain), abs=1e-12)


@given(sizes, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None)
def test_any_dimension_of_the_teacher_may_be_larger(
    shape: tuple[int, ...], heads: int, tokens: int, width: int
) -> None:
    batch, a, b, c = shape
    student, teacher = random_features(shape), random_features((batch, a + heads, b + tokens, c + width), 1)
    found = list(matched(student, teacher, torch.Generator().manual_seed(0)))
    assert [pair[0].shape for pair in found] == [(batch, n, n) for n in (a, b, c)]
    assert all(ours.shape == theirs.shape for ours, theirs in found)
    assert matching_loss(student, teacher, torch.Generator()).item() >= -1e-12


@given(sizes)
def test_a_student_like_its_teacher_loses_nothing(shape: tuple[int, ...]) -> None:
    features = random_features(shape)
    assert matching_loss(features, features, torch.Generator()).item() == pytest.approx(0, abs=1e-12)


def test_repeating_every_head_changes_nothing_but_the_heads_own_matrix() -> None:
    student, teacher = random_features((2, 3, 5, 4)), random_features((2, 3, 5, 4), 1)
    twice = torch.cat([teacher, teacher], 1)
    one, two = (list(matched(student, t, torch.Generator())) for t in (teacher, twice))
    for mode in (1, 2):
        torch.testing.assert_close(one[mode][1], two[mode][1])


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**31))
def test_rows_are_drawn_once_each_and_keep_their_order(count: int, more: int, seed: int) -> None:
    rows = torch.arange(count + more).view(1, -1, 1).expand(2, -1, 3)
    drawn = sample_rows(rows, count, torch.Generator().manual_seed(seed))
    assert torch.equal(drawn[0], drawn[1])
    assert drawn[0, :, 0].tolist() == sorted(set(drawn[0, :, 0].tolist()))
    assert drawn.shape == (2, count, 3)


def test_every_row_comes_up_at_times_and_a_seed_repeats_them() -> None:
    rows, generator = torch.arange(6).view(1, 6, 1), torch.Generator().manual_seed(0)
    drawn = [tuple(sample_rows(rows, 2, generator).flatten().tolist()) for _ in range(200)]
    assert len(set(drawn)) == 15
    again = torch.Generator().manual_seed(0)
    assert drawn == [tuple(sample_rows(rows, 2, again).flatten().tolist()) for _ in range(200)]


def test_fewer_rows_than_the_student_has_are_refused() -> None:
    with pytest.raises(ModelError, match="have 2 rows, fewer than the student's 3"):
        matching_loss(random_features((1, 3, 2, 2)), random_features((1, 2, 2, 2)), torch.Generator())


def test_the_divergence_weighs_by_the_teacher() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(9.0), 0.0]])
    wanted = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert divergence(student, teacher).item() == pytest.approx(wanted)


def test_gradients_are_right_and_the_student_s_alone() -> None:
    student, teacher = random_features((2, 2, 3, 2)).requires_grad_(), random_features((2, 4, 3, 2), 1)
    assert torch.autograd.gradcheck(
        lambda x: matching_loss(x, teacher, torch.Generator().manual_seed(3)), (student,)
    )
    teacher.requires_grad_()
    matching_loss(student, teacher, torch.Generator()).backward()
    assert teacher.grad is None


def test_similarity_is_the_mean_product_of_two_rows() -> None:
    rows = torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    assert similarity(rows).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]
