import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from devit.recipe import Recipe, optimizer_of, schedule_of
from pipeline.errors import ConfigError


@given(st.integers(5, 2000), st.floats(1e-5, 0.5))
def test_the_rate_rises_then_falls_and_never_passes_its_peak(steps: int, peak: float) -> None:
    optimizer = optimizer_of(nn.Linear(2, 2), Recipe(steps, peak, 0))
    schedule = schedule_of(optimizer, Recipe(steps, peak, 0))
    rates = []
    for step in range(steps):
        schedule.step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    top = rates.index(max(rates))
    assert rates[0] > 0
    assert max(rates) == pytest.approx(peak)
    assert rates[-1] < peak / 2
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_weights_decay_but_biases_and_norms_do_not() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    optimizer = optimizer_of(model, Recipe(10, 0.1, 0, weight_decay=0.5))
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {name for name, one in model.named_parameters() if not torch.equal(one, before[name])}
    assert changed == {"0.weight"}


@pytest.mark.parametrize("wrong", [(0, 0.1, 0), (1, 0.0, 0), (1, float("nan"), 0), (1, 0.1, -1)])
def test_an_impossible_recipe_is_refused(wrong: tuple[int, float, int]) -> None:
    with pytest.raises(ConfigError, match="steps must be 1 or more"):
        Recipe(*wrong)
