from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devit.checkpoints import Checkpoint
from devit.data import Batch, Batches, Pictures
from devit.recipe import Recipe
from devit.training import Objective, Outcome, StepResult, train
from pipeline.errors import ModelError

RECIPE = Recipe(steps=20, rate=0.02, seed=0)


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.2), nn.GELU(), nn.Linear(16, 2))


def objective_of(model: nn.Module) -> Objective:
    """Whether a picture is red; noise by the step's generator, and dropout by torch's own."""

    def objective(batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        colour = batch.frames.float().mean((1, 2, 3)) / 255 - 0.5
        logits = model(colour + 0.1 * torch.randn(colour.shape, generator=generator))
        return Outcome(
            F.cross_entropy(logits, batch.labels), (logits.argmax(1) == batch.labels).float().mean()
        )

    return objective


def batches() -> Batches:
    labels = torch.arange(32) % 2
    frames = torch.randint(200, (32, 1, 8, 8, 3), generator=torch.Generator().manual_seed(0)).byte()
    frames[..., 0] += (labels * 55).byte()[:, None, None, None]
    return Batches(Pictures.of(frames, labels), 8, 0, "flip")


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def trained(
    checkpoint: Checkpoint | None = None, stop: int | None = None
) -> tuple[nn.Module, list[StepResult]]:
    model, results = net(), []

    def on_step(result: StepResult) -> None:
        results.append(result)
        if result.step == stop:
            raise KeyboardInterrupt

    try:
        train(model, objective_of(model), batches(), RECIPE, on_step=on_step, checkpoint=checkpoint)
    except KeyboardInterrupt:
        assert stop is not None
    return model, results


def test_training_learns_and_tells_every_step() -> None:
    _, results = trained()
    assert [result.step for result in results] == list(range(20))
    assert sum(one.loss for one in results[-4:]) < sum(one.loss for one in results[:4])
    assert all(0 <= one.accuracy <= 1 and one.seconds >= 0 for one in results)


def test_a_training_that_ended_in_any_step_takes_it_again_and_comes_to_the_same_bits(tmp_path: Path) -> None:
    unbroken, results = trained()
    for stop in (0, 9, 19):
        path = tmp_path / f"{stop}.safetensors"
        trained(Checkpoint(path, every_s=0), stop)
        resumed, rest = trained(Checkpoint(path, every_s=0))
        assert [one.loss for one in rest] == [one.loss for one in results[stop:]]
        assert torch.equal(weights_of(resumed), weights_of(unbroken))


def test_the_last_step_is_kept_even_where_none_was_due(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    trained(Checkpoint(path, every_s=1e9), stop=9)
    assert not path.exists()
    done, _ = trained(Checkpoint(path, every_s=1e9))
    again, results = trained(Checkpoint(path, every_s=1e9))
    assert results == []
    assert torch.equal(weights_of(again), weights_of(done))


def test_every_step_draws_noise_of_its_own() -> None:
    model, drawn = net(), []
    plain = objective_of(model)

    def objective(batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        drawn.append((float(torch.rand(1)), float(torch.rand(1, generator=generator))))
        return plain(batch, step, generator)

    train(model, objective, batches(), RECIPE)
    assert len({own for own, _ in drawn}) == len({given for _, given in drawn}) == RECIPE.steps


def test_another_seed_draws_other_noise() -> None:
    model, other = net(), net()
    train(model, objective_of(model), batches(), RECIPE)
    train(other, objective_of(other), batches(), replace(RECIPE, seed=1))
    assert not torch.equal(weights_of(model), weights_of(other))


def test_a_gradient_is_clipped_to_its_norm() -> None:
    def steep(model: nn.Module, factor: float) -> Objective:
        gentle = objective_of(model)

        def objective(batch: Batch, step: int, generator: torch.Generator) -> Outcome:
            outcome = gentle(batch, step, generator)
            return replace(outcome, loss=outcome.loss * factor)

        return objective

    model, seen = net(), []
    record = model[3].weight.register_hook(lambda gradient: seen.append(gradient.norm().item()))  # type: ignore[index]
    train(model, steep(model, 1e4), batches(), replace(RECIPE, steps=2))
    record.remove()
    assert min(seen) > 100
    bounded, unbounded = net(), net()
    for one, norm in ((bounded, 1e-12), (unbounded, 1e12)):
        train(one, steep(one, 1e4), batches(), replace(RECIPE, steps=1, gradient_norm=norm, weight_decay=0.0))
    moved = [(weights_of(one) - weights_of(net())).abs().max() for one in (bounded, unbounded)]
    assert moved[0] < moved[1] / 10


def test_a_loss_that_is_no_number_ends_the_training_in_one_line() -> None:
    model = net()

    def objective(batch: Batch, step: int, generator: torch.Generator) -> Outcome:
        loss = weights_of(model).sum() * 0 + model(torch.zeros(1, 3)).sum() * float("nan")
        return Outcome(loss, torch.tensor(0.0))

    with pytest.raises(ModelError, match=r"the loss of step 0 is nan; train with a lower rate than 0.02"):
        train(model, objective, batches(), RECIPE)
