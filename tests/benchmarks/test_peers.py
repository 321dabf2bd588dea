"""What the peers' benchmark reads from records."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from benchmarks import peers
from benchmarks.peers import faults, joules, show_faults, used, worst_difference


def record(seq: int, missing: tuple[str | None, ...] = (None, None), best: int = 0, **rest: Any) -> Any:
    parts = [{"part": place, "missing": why} for place, why in enumerate(missing, 1)]
    scores = [
        {"class_id": each, "class": "ab"[each], "confidence": 0.75 if each == best else 0.25}
        for each in (best, 1 - best)
    ]
    found = {"seq": seq, "status": "ok", "parts": parts, "predictions": scores, "latency_ms": {"total": 9.0}}
    return found | rest


class One:
    """An ensemble that is surer the more parts it has: class 0 with two, class 1 with one."""

    def confidences(self, parts: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor([[0.75, 0.25] if len(parts) == 2 else [0.25, 0.75]] * 2)


def test_only_parts_that_came_contributed() -> None:
    assert used(record(0, missing=("late", None))) == (1,)
    assert used({"parts": []}) == used({}) == ()


def test_an_answer_is_compared_with_that_of_the_parts_it_was_made_of() -> None:
    same: Any = [record(0), record(1, missing=(None, "gone"), best=1)]
    assert worst_difference(same, One()) == (0, 0.0)  # type: ignore[arg-type]
    assert worst_difference([record(0, best=1)], One()) == (1, 0.5)  # type: ignore[arg-type]


def test_joules_are_told_where_records_have_them() -> None:
    assert joules([record(0, energy_j=1.0), record(1, energy_j=2.0)]) == "3.0 J, 1.500 a clip"
    assert joules([record(0)]) == "not shown by this machine"


def test_peers_are_killed_slowed_and_stopped_and_all_are_back_at_the_end() -> None:
    done: list[str] = []
    actions = ("start", "kill", "slow_down", "stall", "go_on")

    def box(name: str) -> Any:
        return SimpleNamespace(
            **{each: lambda *at, each=each: done.append(f"{name} {each}") for each in actions}
        )

    events = faults(1000, [box(name) for name in "abcd"])
    assert [at for at, _, _ in events] == [100, 250, 400, 550, 700, 800, 900]
    for _, _, act in events:
        act()
    assert done == [
        "d kill",
        "c kill",
        "c start",
        "d start",
        "a slow_down",
        "a slow_down",
        "a stall",
        "a go_on",
    ]


def test_each_event_has_its_clips_and_each_number_of_parts_its_top1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "console", Console(file=(out := io.StringIO()), width=150))
    records = [record(0), record(1, missing=("gone", None)), record(2, missing=("gone", None), best=1)]
    show_faults(records, [(1, "one killed")], ["a", "a", "a"])
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.getvalue().splitlines()]
    assert ["0", "all are there", "1", "1 ok", "1 x 2", "9.0", "9.0", "9.0"] in lines
    assert ["1", "one killed", "2", "2 ok", "2 x 1", "9.0", "9.0", "9.0"] in lines
    assert ["2", "1", "100.0"] in lines
    assert ["1", "2", "50.0"] in lines
