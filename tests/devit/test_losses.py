import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from devit.backbones import build
from devit.layers import layer_map
from devit.losses import (
    ensemble_loss,
    feature_loss,
    map_into_teacher,
    prediction_loss,
    subtask_loss,
    token_loss,
)
from devit.matching import matching_loss
from devit.recording import recorded
from tests.devit.small import CCT, VIT, pixels_for


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def plain_prediction_loss(student: np.ndarray, teacher: np.ndarray, labels: np.ndarray) -> float:
    total = 0.0
    for logits, others, label in zip(student, teacher, labels, strict=True):
        probabilities = np.exp(logits) / np.exp(logits).sum()
        total += -np.log(probabilities[label]) / 2 - np.log(probabilities[others.argmax()]) / 2
    return total / len(student)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**31))
@settings(deadline=None)
def test_predictions_lose_by_the_plain_formula(batch: int, classes: int, seed: int) -> None:
    student, teacher = (random_tensor(batch, classes, seed=seed + i) for i in (0, 1))
    labels = torch.randint(classes, (batch,), generator=torch.Generator().manual_seed(seed))
    wanted = plain_prediction_loss(student.numpy(), teacher.numpy(), labels.numpy())
    assert prediction_loss(student, teacher, labels).item() == pytest.approx(wanted)
    certain = torch.nn.functional.one_hot(labels, classes).double()
    assert prediction_loss(student, teacher, certain).item() == pytest.approx(wanted)


def test_only_the_teacher_s_decision_matters_and_no_gradient_reaches_it() -> None:
    student, teacher = random_tensor(4, 3).requires_grad_(), random_tensor(4, 3, seed=1).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0])
    loss = prediction_loss(student, teacher, labels)
    assert loss == prediction_loss(student, teacher * 3 + 1, labels)
    loss.backward()
    assert student.grad is not None
    assert teacher.grad is None
    assert torch.autograd.gradcheck(lambda x: prediction_loss(x, teacher, labels), (student,))


@given(st.integers(1, 3), st.lists(st.floats(0, 4), min_size=3, max_size=3))
@settings(deadline=None)
def test_features_lose_by_the_plain_sum(layers: int, alphas: list[float]) -> None:
    student = [random_tensor(3, 2, 2, 4, 3, seed=layer) for layer in range(layers)]
    teacher = [random_tensor(3, 2, 5, 4, 3, seed=9 + layer) for layer in range(layers)]
    loss = feature_loss(student, teacher, torch.Generator().manual_seed(7), alphas)
    total, generator = 0.0, torch.Generator().manual_seed(7)
    for j in range(layers):
        for i in range(3):
            total += alphas[i] * matching_loss(student[j][i], teacher[j][i], generator).item()
    assert loss.item() == pytest.approx(total / (3 * layers))


def test_layers_without_a_counterpart_are_refused() -> None:
    features = [random_tensor(3, 1, 1, 2, 2)]
    with pytest.raises(ValueError, match="longer than"):
        feature_loss(features, features * 2, torch.Generator())


@pytest.mark.parametrize("architecture", [VIT, CCT], ids=lambda a: a.kind)
def test_a_student_learns_to_work_on_what_its_teacher_works_on(architecture: object) -> None:
    teacher, student = build(architecture, seed=0), build(architecture, seed=1)  # type: ignore[arg-type]
    pixels, losses = pixels_for(architecture), []  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(student.parameters(), 1e-3)
    with recorded(teacher, layer_map(3, 3)) as theirs, recorded(student, range(3)) as ours:
        for _ in range(20):
            teacher(pixels)
            student(pixels)
            loss = feature_loss(ours.features, theirs.features, torch.Generator())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_tokens_lose_by_their_squared_distance_in_the_teacher_s_space() -> None:
    into, fused, teacher = map_into_teacher(6, 4).double(), random_tensor(3, 6), random_tensor(3, 4, seed=1)
    matrix, total = into.weight.detach().numpy(), 0.0
    for ours, theirs in zip(fused.numpy(), teacher.numpy(), strict=True):
        total += sum((float(matrix[k] @ ours) - theirs[k]) ** 2 for k in range(4))
    assert token_loss(fused, into, teacher).item() == pytest.approx(total / 12)
    fused.requires_grad_()
    teacher.requires_grad_()
    token_loss(fused, into, teacher).backward()
    assert teacher.grad is None
    assert into.weight.grad is not None
    assert torch.autograd.gradcheck(lambda x: token_loss(x, into, teacher), (fused,))


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 10))
def test_terms_are_added_by_their_weight(first: float, second: float, weight: float) -> None:
    for total in (subtask_loss, ensemble_loss):
        found = total(torch.tensor(first).double(), torch.tensor(second).double(), weight)
        assert found.item() == pytest.approx(first + weight * second, abs=1e-5)
