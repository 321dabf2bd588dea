import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.energy.integral import Integral

STEPS = st.lists(st.floats(0.001, 10.0), min_size=1, max_size=20)


@given(st.floats(0, 100), st.floats(0, 10), STEPS)
def test_power_on_a_straight_line_is_integrated_exactly(first_w, rise, steps):
    clock = ManualClock(50.0)
    rail = Integral("VDD_IN", lambda: first_w + rise * (clock.now() - 50.0), clock)
    before = 0.0
    for step in steps:
        clock.advance(step)
        assert rail.joules() >= before
        before = rail.joules()
    seconds = sum(steps)
    assert before == pytest.approx(first_w * seconds + rise * seconds**2 / 2, rel=1e-6, abs=1e-9)


def test_two_looks_at_one_moment_count_once():
    clock = ManualClock()
    rail = Integral("VDD_IN", lambda: 5.0, clock)
    clock.advance(2.0)
    assert (rail.joules(), rail.joules()) == (10.0, 10.0)
