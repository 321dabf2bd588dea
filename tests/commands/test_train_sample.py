"""The verb train-sample: from a seed to weights that say what they are; and the weights that ship."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from commands.sample.training import Schedule, Training
from commands.train_sample import Score, held_out_score, run
from models import build_model, create_model
from pipeline.errors import ConfigError
from sources.motions import LABELS

SMALL = {"seed": 0, "steps": 2, "batch_size": 2, "threads": 1, "clips": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "new" / "motions.safetensors"
    assert run(output=output, resume=False, **SMALL) == 0
    return output


def test_the_file_says_what_it_knows_and_how_it_was_made(trained):
    with safe_open(trained, framework="pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert json.loads(metadata["labels"]) == list(LABELS)
    assert metadata["command"] == "main.py train-sample --seed 0 --steps 2 --batch-size 2"
    assert (metadata["seed"], metadata["steps"]) == ("0", "2")
    assert 0 <= float(metadata["accuracy"]) <= 1


def test_the_file_is_small_loads_and_scores_what_it_says(trained):
    assert trained.stat().st_size < 6e6
    model = create_model("motions", weights=trained)
    with safe_open(trained, framework="pt") as file:
        said = float(file.metadata()["accuracy"])
    assert held_out_score(model, 1_000_003, 8).accuracy == said


def test_no_checkpoint_is_left_behind(trained):
    assert [path.name for path in trained.parent.iterdir()] == [trained.name]


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    again = tmp_path / "again.safetensors"
    run(output=again, resume=False, **SMALL)
    first, second = load_file(trained), load_file(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_output_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        run(output=tmp_path / "file" / "motions.safetensors", resume=False, **SMALL)


def test_training_goes_on_from_the_checkpoint_beside_the_output(trained, tmp_path):
    output = tmp_path / "motions.safetensors"
    schedule = Schedule(seed=0, steps=2, batch_size=2)
    training = Training(schedule)
    training.step = schedule.steps
    training.save(output.with_name(output.name + ".checkpoint"))
    run(output=output, resume=True, **SMALL)
    untrained = build_model("motions", seed=0).state_dict()["blocks.0.attn.qkv.weight"].half()
    assert torch.equal(load_file(output)["blocks.0.attn.qkv.weight"], untrained)
    assert not torch.equal(load_file(trained)["blocks.0.attn.qkv.weight"], untrained)


def test_a_score_counts_by_class():
    score = Score()
    for truth, guess in [("left", "left"), ("left", "up"), ("up", "up"), ("up", "up")]:
        score.add(truth, guess)
    assert score.accuracy == 0.75
    assert (score.right["left"], score.shown["left"]) == (1, 2)


def test_the_model_that_ships_recognises_motions_it_never_saw():
    assert held_out_score(create_model("motions"), seed=42, clips=160).accuracy >= 0.95
