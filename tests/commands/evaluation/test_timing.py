import pytest

from commands.evaluation.timing import forward_joules, forward_ms
from commands.profiling.rounds import Rounds
from models import SplitViT
from pipeline.clock import ManualClock
from pipeline.energy.integral import Integral
from pipeline.energy.meter import EnergyMeter
from scheduling.pruning import none, uniform
from tests.pipeline.energy.machine import Turned


def test_each_pruning_takes_what_its_own_forward_takes(model, monkeypatch):
    clock, forward = ManualClock(), SplitViT.forward
    prunings = [none(12, 129), uniform(8, 12, 129)]

    def slow(self, pixels, pruning=None):
        clock.advance(0.010 if sum(pruning.removed) else 0.030)
        return forward(self, pixels, pruning)

    monkeypatch.setattr(SplitViT, "forward", slow)
    heard = []
    found = forward_ms(model, prunings, clock, Rounds(least=2, most=3, seconds=1), heard.append)
    assert {str(pruning): round(ms) for pruning, ms in found.items()} == {"none": 30, "uniform:8": 10}
    assert heard[-1] == 1.0


def test_the_joules_of_a_clip_are_the_machines_over_the_clips_that_ran_meanwhile(model, monkeypatch):
    clock, forward = ManualClock(), SplitViT.forward
    prunings = [none(12, 129), uniform(8, 12, 129)]

    def slow(self, pixels, pruning=None):
        clock.advance(0.1 if sum(pruning.removed) else 0.3)
        return forward(self, pixels, pruning)

    monkeypatch.setattr(SplitViT, "forward", slow)
    meter = EnergyMeter([Integral("VDD_IN", lambda: 20.0, clock)])
    found = forward_joules(model, prunings, clock, meter, seconds=0.5)
    assert [found[pruning] for pruning in prunings] == pytest.approx([6.0, 2.0])


def test_where_no_energy_is_shown_nothing_runs_for_it_or_nothing_is_claimed(model, monkeypatch):
    clock, prunings, ran = ManualClock(), [none(12, 129)], []
    monkeypatch.setattr(SplitViT, "forward", lambda self, pixels, pruning=None: ran.append(1) or pixels)
    assert forward_joules(model, prunings, clock, EnergyMeter(), seconds=0) == {}
    assert not ran
    assert forward_joules(model, prunings, clock, EnergyMeter([Turned(joules=None)]), seconds=0) == {}
