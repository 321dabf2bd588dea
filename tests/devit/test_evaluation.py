from dataclasses import replace

import pytest
import torch
from torch import nn

from devit.backbones import build, run
from devit.data import Pictures
from devit.ensemble import every_choice, presence
from devit.evaluation import accuracy, accuracy_by_choice, latencies_ms, parameters
from models.preprocessing import preprocess
from pipeline.clock import ManualClock
from tests.devit.small import VIT
from tests.devit.test_ensemble import ensemble_of


def pictures(count: int = 300) -> Pictures:
    drawn = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (count, 1, 32, 32, 3), generator=drawn, dtype=torch.uint8)
    return Pictures.of(frames, torch.randint(5, (count,), generator=drawn))


def share_right(logits: torch.Tensor, shown: Pictures) -> float:
    return (logits.argmax(1) == shown.labels).double().mean().item()


def test_accuracy_is_the_share_right_over_all_batches_and_changes_no_mode() -> None:
    model, shown = build(VIT, seed=0), pictures()
    found = accuracy(model, VIT, shown)
    assert model.training
    logits = run(model.eval(), preprocess(shown.frames, VIT.spec)).logits
    assert found == pytest.approx(share_right(logits, shown))
    perfect = Pictures.of(shown.frames, logits.argmax(1))
    assert accuracy(model, VIT, perfect) == 1
    assert not model.training


def test_every_choice_of_parts_is_scored_with_the_others_missing() -> None:
    ensemble, shown = ensemble_of(3), pictures(40)
    found = accuracy_by_choice(ensemble, VIT, shown)
    assert list(found) == every_choice(3)
    pixels = preprocess(shown.frames, VIT.spec)
    for parts, share in found.items():
        logits = ensemble.eval()(pixels, presence(parts, 3, 40)).logits
        assert share == pytest.approx(share_right(logits, shown))
    assert found[0, 1, 2] == accuracy(ensemble, VIT, shown)


def test_latency_is_the_median_over_turns_on_one_thread() -> None:
    clock, order = ManualClock(), []
    slow = iter([9.0] * 3 + [0.1, 0.2, 5.0, 0.3, 0.2])

    def work(name: str, seconds: float) -> None:
        order.append((name, torch.get_num_threads()))
        clock.advance(seconds)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    works = {"a": lambda: work("a", next(slow)), "b": lambda: work("b", 0.01)}
    found = latencies_ms(works, runs=5, clock=clock)
    assert found == pytest.approx({"a": 200, "b": 10})
    assert order == [("a", 1), ("b", 1)] * 8
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_parameters_are_counted() -> None:
    assert parameters(nn.Linear(3, 4)) == 16
    assert parameters(build(replace(VIT, num_classes=6))) - parameters(build(VIT)) == VIT.dim + 1
