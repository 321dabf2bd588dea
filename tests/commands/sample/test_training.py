"""Training learns, repeats itself for a seed, and goes on from a checkpoint as if never stopped."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from commands.sample.training import PEAK_RATE, Schedule, Training
from pipeline.errors import ConfigError
from sources.motions import LABELS, motion_sequence

SCHEDULE = Schedule(seed=0, steps=20, batch_size=8)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def batch():
    labels, clips = zip(*(motion_sequence(0, index) for index in range(8)), strict=True)
    return torch.from_numpy(np.stack(clips)), torch.tensor([LABELS.index(label) for label in labels])


def weights_of(training: Training) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])


def test_a_few_steps_lower_the_loss(batch):
    training = Training(SCHEDULE)
    losses = [training.learn(*batch).loss for _ in range(12)]
    assert losses[-1] < losses[0] / 2
    assert training.step == 12


def test_a_seed_fixes_the_outcome(batch):
    trained = []
    for _ in range(2):
        training = Training(SCHEDULE)
        training.learn(*batch)
        training.learn(*batch)
        trained.append(weights_of(training))
    assert torch.equal(*trained)


def test_another_seed_starts_from_other_weights():
    other = Schedule(seed=1, steps=20, batch_size=8)
    assert not torch.equal(weights_of(Training(SCHEDULE)), weights_of(Training(other)))


def test_a_resumed_training_is_that_of_an_unbroken_run(batch, tmp_path):
    unbroken = Training(SCHEDULE)
    unbroken.learn(*batch)
    unbroken.save(tmp_path / "checkpoint")
    unbroken.learn(*batch)
    resumed = Training.load(tmp_path / "checkpoint", SCHEDULE)
    assert resumed.step == 1
    resumed.learn(*batch)
    assert torch.equal(weights_of(resumed), weights_of(unbroken))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path):
    Training(SCHEDULE).save(tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match="without --resume"):
        Training.load(tmp_path / "checkpoint", Schedule(seed=0, steps=21, batch_size=8))


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match=r"checkpoint.*readable"):
        Training.load(path, SCHEDULE)
    torch.save({"step": 3}, path)
    with pytest.raises(ConfigError, match="train-sample"):
        Training.load(path, SCHEDULE)


@given(st.integers(2, 5000))
def test_the_rate_rises_then_falls_and_never_passes_its_peak(steps):
    rates = [Schedule(0, steps, 1).rate(step) for step in range(steps)]
    top = rates.index(max(rates))
    assert 0 < min(rates) <= max(rates) <= PEAK_RATE
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize("wrong", [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_an_impossible_schedule_is_refused(wrong):
    with pytest.raises(ConfigError, match="1 or more"):
        Schedule(*wrong)
