from collections.abc import Callable
from itertools import permutations
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devit.backbones import build, run
from devit.data import Batch
from devit.ensemble import Ensemble
from devit.fusion import Fusion, FusionSpec, drop_parts
from devit.layers import layer_map
from devit.losses import feature_loss, map_into_teacher, prediction_loss, token_loss
from devit.objectives import Classify, EnsembleLosses, Fuse, Subtask, SubtaskLosses
from devit.randomness import generator_of
from devit.recording import recorded
from models.preprocessing import preprocess
from tests.devit.small import VIT

SMALL = type(VIT)("vit", 32, 1, 16, depth=2, heads=1, mlp=48, num_classes=5)


def batch() -> Batch:
    drawn = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (4, 1, 32, 32, 3), generator=drawn, dtype=torch.uint8)
    return Batch(frames, torch.tensor([0, 1, 2, 4]))


def pixels() -> Tensor:
    return preprocess(batch().frames, VIT.spec)


def models() -> tuple[nn.Module, nn.Module]:
    return build(SMALL, seed=1), build(VIT, seed=2).eval()


def features(model: nn.Module, layers: tuple[int, ...]) -> list[Tensor]:
    with recorded(model, layers) as kept:
        run(model, pixels())
    return kept.features


def test_a_teacher_learns_labels() -> None:
    model = build(VIT, seed=0)
    outcome = Classify(model, VIT)(batch(), 0, generator_of(0))
    logits = run(model, pixels()).logits
    torch.testing.assert_close(outcome.loss, F.cross_entropy(logits, batch().labels))
    assert outcome.right == (logits.argmax(1) == batch().labels).float().mean()


@pytest.mark.parametrize("losses", ["labels", "pred", "feat", "both"])
def test_a_part_learns_from_labels_decisions_and_features_as_asked(losses: SubtaskLosses) -> None:
    student, teacher = models()
    alphas, beta = (1.0, 0.5, 2.0), 3.0
    logits, taught = run(student, pixels()).logits, run(teacher, pixels()).logits
    labels = F.cross_entropy(logits, batch().labels)
    prediction = prediction_loss(logits, taught, batch().labels)
    feature = feature_loss(
        features(student, (0, 1)), features(teacher, layer_map(2, 3)), generator_of(7), alphas
    )
    wanted = {"labels": labels, "pred": prediction, "feat": labels + beta * feature}
    wanted["both"] = prediction + beta * feature
    objective = Subtask(student, SMALL, teacher, VIT, losses, alphas, beta)
    torch.testing.assert_close(objective(batch(), 0, generator_of(7)).loss, wanted[losses])
    assert len({round(one.item(), 6) for one in wanted.values()}) == 4


def test_a_part_s_layers_are_taught_by_those_of_the_layer_map() -> None:
    student, teacher = models()
    both: tuple[Any, Any] = student, teacher
    with torch.no_grad():
        for layer, block in (pair for model in both for pair in enumerate(model.blocks)):
            block.attn.qkv.weight *= 8.0**layer
    loss = {
        losses: Subtask(student, SMALL, teacher, VIT, losses)(batch(), 0, generator_of(7)).loss
        for losses in get_args(SubtaskLosses)
    }
    own = features(student, (0, 1))
    by_layers = {
        layers: feature_loss(own, features(teacher, layers), generator_of(7))
        for layers in permutations(range(VIT.depth), SMALL.depth)
    }
    wanted = by_layers.pop(layer_map(2, 3))
    torch.testing.assert_close(loss["feat"] - loss["labels"], wanted)
    torch.testing.assert_close(loss["both"] - loss["pred"], wanted)
    assert all(abs(wanted - other) > 0.05 * wanted for other in by_layers.values())


@pytest.mark.parametrize("losses", ["labels", "pred", "token", "both"])
def test_an_ensemble_learns_from_labels_decisions_and_tokens_as_asked(losses: EnsembleLosses) -> None:
    fuse = fused(losses)
    output, taught = fuse.ensemble(pixels()), run(fuse.teacher, pixels())
    labels = F.cross_entropy(output.logits, batch().labels)
    prediction = prediction_loss(output.logits, taught.logits, batch().labels)
    token = token_loss(output.token, fuse.into_teacher, taught.token)
    wanted = {
        "labels": labels,
        "pred": prediction,
        "token": labels + 3 * token,
        "both": prediction + 3 * token,
    }
    torch.testing.assert_close(fuse(batch(), 0, generator_of(0)).loss, wanted[losses])
    assert len({round(one.item(), 6) for one in wanted.values()}) == 4


def fused(losses: EnsembleLosses = "both", drop_from: int = 0, drop: float = 0.0) -> Fuse:
    student, teacher = models()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fusion = Fusion(FusionSpec("linear", (SMALL.dim, SMALL.dim), VIT.dim, 5))
        into = map_into_teacher(2 * SMALL.dim, VIT.dim)
    return Fuse(
        Ensemble([student, build(SMALL, seed=4)], fusion), into, teacher, VIT, losses, 3.0, drop_from, drop
    )


def test_parts_go_missing_from_the_step_on_that_was_asked() -> None:
    fuse = fused("labels", drop_from=5, drop=0.5)
    everyone = F.cross_entropy(fuse.ensemble(pixels()).logits, batch().labels)
    torch.testing.assert_close(fuse(batch(), 4, generator_of(1)).loss, everyone)
    present = drop_parts(4, 2, generator_of(1), 0.5)
    assert not present.all()
    some = F.cross_entropy(fuse.ensemble(pixels(), present).logits, batch().labels)
    torch.testing.assert_close(fuse(batch(), 5, generator_of(1)).loss, some)


@pytest.mark.parametrize(
    "objective_of",
    [lambda: Subtask(models()[0], SMALL, models()[1], VIT), fused],
    ids=["subtask", "fuse"],
)
def test_no_gradient_reaches_a_teacher_and_all_that_learns_gets_one(
    objective_of: Callable[[], Subtask | Fuse],
) -> None:
    objective, with_gradients = objective_of(), []
    objective.teacher.blocks[0].register_forward_pre_hook(  # type: ignore[union-attr, operator]
        lambda *_: with_gradients.append(torch.is_grad_enabled())
    )
    objective(batch(), 0, generator_of(0)).loss.backward()
    assert with_gradients == [False]
    assert all(one.grad is None for one in objective.teacher.parameters())
    assert not objective.teacher.training
    learner = objective.student if isinstance(objective, Subtask) else objective.ensemble.parts
    without = {name for name, one in learner.named_parameters() if one.grad is None}
    assert all("head." in name for name in without)
