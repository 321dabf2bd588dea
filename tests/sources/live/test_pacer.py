import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.live.pacer import ADRIFT_S, Pacer


@given(st.floats(-1e5, 1e5), st.floats(0.001, 1.0), st.integers(2, 50))
def test_frames_that_are_all_there_come_a_period_apart(first, period, count):
    pacer, now, given_at = Pacer(), 10.0, []
    for n in range(count):
        now += pacer.wait_s(first + n * period, now)
        given_at.append(now)
    assert given_at == pytest.approx([10.0 + n * period for n in range(count)], abs=1e-3)


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 100)), max_size=40))
def test_no_frame_waits_long_whatever_its_stream_says(script):
    pacer, now = Pacer(), 10.0
    for pts_s, passed_s in script:
        now += passed_s
        assert 0 <= pacer.wait_s(pts_s, now) <= 2 * ADRIFT_S


def test_a_stream_that_was_held_up_does_not_run_after_itself():
    pacer = Pacer()
    pacer.wait_s(0.0, 10.0)
    assert pacer.wait_s(0.5, 60.0) == 0.0
    assert pacer.wait_s(1.0, 60.0) == pytest.approx(0.5)


def test_a_short_hold_up_is_made_good():
    pacer = Pacer()
    pacer.wait_s(0.0, 10.0)
    assert pacer.wait_s(0.5, 11.0) == 0.0
    assert pacer.wait_s(1.0, 11.0) == 0.0
    assert pacer.wait_s(1.5, 11.0) == pytest.approx(0.5)
