import pytest

from commands.profiling.rounds import Rounds, quiet_ms
from pipeline.clock import ManualClock


class Machine:
    """Works that take what they are told to on a clock of their own."""

    def __init__(self):
        self.clock = ManualClock()
        self.ran = []

    def work(self, name, times_ms):
        left = iter(times_ms)

        def run():
            self.ran.append(name)
            self.clock.advance(next(left) / 1000)

        return run


def endless(value):
    while True:
        yield value


def test_works_take_turns_and_the_first_round_only_warms_up():
    machine = Machine()
    works = {"a": machine.work("a", [500, 2, 2, 2]), "b": machine.work("b", [900, 3, 3, 3])}
    assert quiet_ms(works, Rounds(3, 3, 1.0), machine.clock) == pytest.approx({"a": 2, "b": 3})
    assert machine.ran == ["a", "b"] * 4


def test_a_few_disturbed_rounds_change_nothing():
    machine = Machine()
    times = [4.0, *([4.0, 400.0] * 6)]
    assert quiet_ms({"a": machine.work("a", times)}, Rounds(12, 12, 1.0), machine.clock)[
        "a"
    ] == pytest.approx(4)


@pytest.mark.parametrize(
    ("each_ms", "rounds", "expected"),
    [(110, Rounds(2, 50, 1.0), 10), (2000, Rounds(3, 50, 1.0), 4), (1, Rounds(2, 7, 1.0), 8)],
)
def test_it_ends_with_its_time_but_not_before_the_least_nor_after_the_most(each_ms, rounds, expected):
    machine = Machine()
    quiet_ms({"a": machine.work("a", endless(each_ms))}, rounds, machine.clock)
    assert len(machine.ran) == expected


def test_progress_rises_to_one():
    machine, heard = Machine(), []
    quiet_ms({"a": machine.work("a", endless(60))}, Rounds(3, 40, 1.0), machine.clock, heard.append)
    assert heard == sorted(heard)
    assert heard[0] == 0 and heard[-1] == 1
    assert len(set(heard)) > 5
