from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from devit.checkpoints import Checkpoint, Sums
from devit.recipe import Recipe, optimizer_of
from pipeline.clock import ManualClock
from pipeline.errors import ConfigError

RECIPE = Recipe(steps=5, rate=0.1, seed=0)


def stepped(steps: int, width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Linear(3, width)
    optimizer = optimizer_of(model, RECIPE)
    for _ in range(steps):
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def test_what_is_loaded_goes_on_as_what_was_saved(tmp_path: Path) -> None:
    model, optimizer = stepped(3)
    Checkpoint(tmp_path / "it").save(RECIPE, 3, model, optimizer)
    loaded, its_optimizer = stepped(1)
    assert Checkpoint(tmp_path / "it").load(RECIPE, loaded, its_optimizer) == 3
    for one, own in ((model, optimizer), (loaded, its_optimizer)):
        one(torch.ones(2, 3)).sum().backward()
        own.step()
    assert torch.equal(model.weight, loaded.weight)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_without_a_file_training_begins_at_its_beginning(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "none").load(RECIPE, *stepped(0)) == 0


def test_it_is_due_when_its_time_has_passed_since_it_was_saved(tmp_path: Path) -> None:
    clock = ManualClock()
    checkpoint = Checkpoint(tmp_path / "it", every_s=10, clock=clock)
    assert not checkpoint.is_due
    clock.advance(10)
    assert checkpoint.is_due
    checkpoint.save(RECIPE, 1, *stepped(1))
    assert not checkpoint.is_due


def test_what_is_no_checkpoint_of_this_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ConfigError, match=r"it: no checkpoint .* remove it to begin anew"):
        Checkpoint(path).load(RECIPE, *stepped(0))
    Checkpoint(path).save(RECIPE, 3, *stepped(1))
    with pytest.raises(ConfigError, match="another recipe"):
        Checkpoint(path).load(replace(RECIPE, rate=0.2), *stepped(0))
    with pytest.raises(ConfigError, match="bias is"):
        Checkpoint(path).load(RECIPE, *stepped(0, width=5))
    state = load_file(path)
    save_file(state, path)
    with pytest.raises(ConfigError, match="another recipe"):
        Checkpoint(path).load(RECIPE, *stepped(0))


@pytest.mark.parametrize("name", ["optimizer.0.exp_avg", "optimizer.9.step", "optimizer.x.step", "else"])
def test_an_optimizer_s_state_of_another_shape_or_place_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "it"
    Checkpoint(path).save(RECIPE, 3, *stepped(1))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(path) | {name: torch.zeros(7)}, path, metadata)
    with pytest.raises(ConfigError, match="no checkpoint of this training"):
        Checkpoint(path).load(RECIPE, *stepped(0))


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (("optimizer.1.exp_avg_sq",), r"optimizer.1.exp_avg_sq is missing"),
        (("optimizer.0.step",), r"optimizer.0.step is missing"),
        (("optimizer.",), "holds no state of the optimizer"),
    ],
)
def test_an_optimizer_s_state_that_lacks_something_is_refused(
    tmp_path: Path, lacking: tuple[str], said: str
) -> None:
    path = tmp_path / "it"
    Checkpoint(path).save(RECIPE, 3, *stepped(1))
    rewrite(path, state={name: one for name, one in load_file(path).items() if not name.startswith(lacking)})
    with pytest.raises(ConfigError, match=said):
        Checkpoint(path).load(RECIPE, *stepped(0))


def rewrite(path: Path, state: dict[str, torch.Tensor] | None = None, **said: str | None) -> None:
    """The same checkpoint with another state, and with or, where they are None, without some metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = {name: text for name, text in (file.metadata() | said).items() if text is not None}
    save_file(state or load_file(path), path, metadata)


def test_a_parameter_that_no_gradient_has_reached_needs_no_state(tmp_path: Path) -> None:
    path = tmp_path / "it"
    model, optimizer = stepped(0)
    model.bias.requires_grad_(False)  # type: ignore[union-attr, operator]
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    Checkpoint(path).save(RECIPE, 1, model, optimizer)
    assert Checkpoint(path).load(RECIPE, *stepped(0)) == 1


def test_sums_go_on_from_where_they_were_when_it_was_saved(tmp_path: Path) -> None:
    path, sums = tmp_path / "it", Sums()
    checkpoint = Checkpoint(path, sums=sums)
    sums.add(0.1, 0.25, 3.0)
    sums.add(0.2, 0.5, 4.0)
    checkpoint.save(RECIPE, 3, *stepped(1))
    sums.add(9.0, 1.0, 9.0)
    loaded = Sums(7, 7.0, 7.0, 7.0)
    Checkpoint(path, sums=loaded).load(RECIPE, *stepped(0))
    assert loaded == Sums(2, 0.1 + 0.2, 0.75, 7.0)


def test_a_checkpoint_of_before_there_were_sums_goes_on_and_one_with_damaged_sums_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "it"
    Checkpoint(path, sums=Sums(2, 1.0, 1.0, 1.0)).save(RECIPE, 3, *stepped(1))
    rewrite(path, sums=None)
    sums = Sums()
    assert Checkpoint(path, sums=sums).load(RECIPE, *stepped(0)) == 3
    assert sums == Sums()
    for text in ("3", '{"more": 1}', '{"loss": NaN}', '{"loss": "1"}', '{"steps": 1' + "0" * 400 + "}"):
        rewrite(path, sums=text)
        with pytest.raises(ConfigError, match="its sums are none"):
            Checkpoint(path).load(RECIPE, *stepped(0))
