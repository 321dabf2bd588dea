import logging

import pytest

from pipeline.clock import ManualClock
from pipeline.energy.rails import input_rails
from tests.pipeline.energy.machine import hide, monitor, write

RAILS = {
    "in1_label": "VDD_CPU_GPU_CV",
    "in1_input": 5000,
    "curr1_input": 900,
    "in2_label": "VDD_IN",
    "in2_input": 5000,
    "curr2_input": 2000,
}


def test_the_boards_input_is_millivolts_times_milliamperes_over_time(tmp_path):
    monitor(tmp_path, 0, name="tmp451", in1_label="VDD_IN", in1_input=1, curr1_input=1)
    board = monitor(tmp_path, 1, **RAILS)
    clock = ManualClock()
    (rail,) = input_rails(tmp_path, clock)
    clock.advance(2.0)
    write(board, curr2_input=4000)
    assert (rail.name, rail.joules()) == ("VDD_IN", pytest.approx(30.0))  # from 10 W to 20 W in 2 s


def test_a_current_that_flows_back_takes_nothing_away(tmp_path):
    monitor(tmp_path, **{**RAILS, "curr2_input": -8})
    clock = ManualClock()
    (rail,) = input_rails(tmp_path, clock)
    clock.advance(2.0)
    assert rail.joules() == 0


@pytest.mark.parametrize("channels", [{}, {"in1_label": "VDD_GPU_SOC", "in1_input": 1, "curr1_input": 1}])
def test_a_board_whose_input_has_no_rail_shows_nothing(tmp_path, channels):
    monitor(tmp_path, **channels)
    assert input_rails(tmp_path, ManualClock()) == []


def test_what_may_not_be_read_is_not_there_and_the_log_says_so(tmp_path, caplog):
    hide(monitor(tmp_path, **RAILS) / "curr2_input")
    with caplog.at_level(logging.INFO):
        assert input_rails(tmp_path, ManualClock()) == []
    assert "curr2_input" in caplog.text
