import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from sources.live.capture_time import OLDEST_S, CaptureTime

UNIX_S = 1.8e9


def capture_time(now=50.0):
    return CaptureTime(ManualClock(now), wall=lambda: UNIX_S)


@given(st.floats(0, OLDEST_S - 0.01), st.floats(-1e5, 1e5), st.floats(0, 0.1))
def test_the_age_on_the_cameras_clock_is_the_age_on_ours(age_s, pts_s, since_report_s):
    times = capture_time()
    times.note(pts_s - since_report_s, UNIX_S - age_s - since_report_s)
    assert times.at(pts_s, 50.0) == pytest.approx(50.0 - age_s, abs=1e-3)


def test_without_a_report_a_frame_is_as_old_as_its_arrival():
    assert capture_time().at(3.0, 49.9) == 49.9
    assert not capture_time().doubtful


def test_a_frame_without_a_time_is_as_old_as_its_arrival():
    times = capture_time()
    times.note(3.0, UNIX_S - 1)
    assert times.at(None, 49.9) == 49.9


@pytest.mark.parametrize("age_s", [-0.5, -7200.0, OLDEST_S + 1, 1e9])
def test_a_camera_whose_clock_is_wrong_is_not_believed(age_s):
    times = capture_time()
    times.note(3.0, UNIX_S - age_s)
    assert times.at(3.0, 49.9) == 49.9
    assert times.doubtful


def test_a_frame_was_never_captured_after_it_arrived():
    times = capture_time()
    times.note(3.0, UNIX_S)
    assert times.at(3.0, 49.0) == 49.0
