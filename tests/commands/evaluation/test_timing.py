from commands.evaluation.timing import forward_ms
from commands.profiling.rounds import Rounds
from models import SplitViT
from pipeline.clock import ManualClock
from scheduling.pruning import none, uniform


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
