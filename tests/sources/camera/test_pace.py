from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.camera.pace import LATE_S, Pace


@given(st.floats(0.1, 240), st.lists(st.floats(0, 2), max_size=30))
def test_times_rise_and_frames_are_never_due_earlier_than_a_period_after_the_last(rate, delays):
    pace, now_s, due = Pace(rate, 5.0, 0), 5.0, []
    for delay_s in delays:
        due.append(pace.next(now_s))
        now_s = max(now_s, due[-1]) + delay_s
    assert all(after - before >= 1 / rate - 1e-9 for before, after in pairwise(due))


def test_frames_of_a_prompt_camera_are_a_period_apart_and_short_delays_are_caught_up():
    pace = Pace(10, 50.0, 0)
    assert [pace.next(now_s) for now_s in (50.0, 50.05, 50.1 + LATE_S, 50.3)] == pytest.approx(
        [50.0, 50.1, 50.2, 50.3]
    )


def test_a_long_delay_moves_all_later_frames():
    pace = Pace(10, 0.0, 0)
    assert pace.next(0.0) == 0.0
    assert pace.next(3.0) == 3.0
    assert pace.next(3.0) == pytest.approx(3.1)


def test_timestamps_are_ticks_of_90_khz_that_wrap():
    pace = Pace(25, 7.0, 2**32 - 3600)
    assert [pace.timestamp(7.0 + index / 25) for index in range(3)] == [2**32 - 3600, 0, 3600]
