import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.traces import Trace, parse_csv, parse_list, parse_ping_list, parse_trace_spec
from tests.data import shared_data

TWO_RUNS = "\n#####\nRun 1\n1,2.5,0\n#####\nRun 7\n4\n"
FOUR_LINES = "Run 3\n18.7,18.8,18.9\n1,2,3\n0.5,0.6\n7,8\n"


def test_a_run_of_one_line_is_throughput_each_100_ms():
    first, second = parse_list(TWO_RUNS, "lte/x")
    assert (first.name, first.run, first.technology) == ("lte/x run 1", 1, None)
    assert first.mbps.tolist() == [1, 2.5, 0]
    assert first.times_s.tolist() == pytest.approx([0, 0.1, 0.2])
    assert first.duration_s == pytest.approx(0.3)
    assert (second.run, second.mbps.tolist()) == (7, [4])


def test_a_run_of_four_lines_is_two_traces_each_from_its_own_first_time():
    new, old = parse_list(FOUR_LINES, "x")
    assert [(trace.name, trace.run, trace.technology) for trace in (new, old)] == [
        ("x run 3 5g", 3, "5g"),
        ("x run 3 lte", 3, "lte"),
    ]
    assert new.times_s.tolist() == pytest.approx([0, 0.1, 0.2])
    assert new.duration_s == pytest.approx(0.3)
    assert old.mbps.tolist() == [7, 8]


def test_a_gap_in_the_times_holds_the_value_before_it():
    new, _ = parse_list("Run 1\n1.0,1.1,1.2,4.2,4.3\n5,6,7,8,9\n0,1\n1,1", "x")
    assert new.mbps_at(2.0) == 7
    assert new.duration_s == pytest.approx(3.4)


def test_a_time_stated_twice_counts_once_and_a_clock_that_falls_back_keeps_the_distance():
    _, old = parse_list("Run 1\n0\n1\n5.0,5.1,5.1,5.2,4.0,4.1,4.2\n1,2,2,3,4,5,6", "x")
    assert old.mbps.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.diff(old.times_s) == pytest.approx(np.full(5, 0.1))
    assert old.duration_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x.list: holds no run"),
        ("####\n", "x.list: holds no run"),
        ("1,2,3", "x.list line 1: is '1,2,3', where the first 'Run K' belongs"),
        ("Run 1", "x.list run 1: has 0 lines of values"),
        ("Run 1\n1\nRun 2\n1\n2", "x.list run 2: has 2 lines of values; one .* or four"),
        ("Run 1\n1,,2", "x.list run 1: value 2 is '', not a number from 0 up"),
        ("Run 1\n1,two", "x.list run 1: value 2 is 'two', not a number"),
        ("Run 1\n1,nan", "x.list run 1: value 2 is 'nan', not a number"),
        ("Run 1\n1,-2", "x.list run 1: value 2 is '-2', not a number"),
        ("Run 1\n1e9", "x.list run 1: value 1 is 1e.09, not Mbit/s"),
        ("Run 4\n1,2\n1\n1\n1", "x.list run 4 5g: has 2 times for 1 values"),
        ("Run 4\n1\n1\ninf\n1", "x.list run 4 line 3: value 1 is 'inf'"),
    ],
)
def test_a_list_that_is_none_is_refused_in_one_line_that_says_where(text, problem):
    with pytest.raises(ConfigError, match=f"^{problem}") as caught:
        parse_list(text, "x.list")
    assert "\n" not in str(caught.value)


@given(st.text(st.sampled_from("Run 1234\n#,.-e"), max_size=60) | st.text(max_size=40))
def test_any_text_is_traces_or_one_clear_line(text):
    for parse in (parse_list, parse_csv):
        try:
            result = parse(text, "x")
        except ConfigError as error:
            assert str(error).startswith("x")
        else:
            assert all(isinstance(trace, Trace) for trace in (result if parse is parse_list else [result]))


def test_a_table_is_read_with_and_without_round_trips():
    trace = parse_csv("t_s,mbps,rtt_ms\n10,4,30\n10.5,0,80\n\n11.0,2,31\n", "mine.csv")
    assert trace.times_s.tolist() == [0, 0.5, 1.0]
    assert trace.mbps.tolist() == [4, 0, 2]
    assert trace.duration_s == 1.5
    assert trace.rtt_ms_at(0.6, 1) == 80
    assert parse_csv("T_S, Mbps\n0,4", "mine.csv").rtt_ms is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: is '', not the header t_s,mbps"),
        ("0,1\n1,2", "line 1: is '0,1', not the header"),
        ("t_s,mbps\n", ": has no rows"),
        ("t_s,mbps\n0,1,2", "line 2: has 3 values for 2 columns"),
        ("t_s,mbps\n0,1\n\n1,x", "line 4: value 2 is 'x', not a number"),
        ("t_s,mbps\n0,1\n1,nan", "line 3: value 2 is 'nan'"),
        ("t_s,mbps\n0,1\n1,-1", "line 3: value 2 is '-1'"),
        ("t_s,mbps\n0,1\n0,2", "line 3: time 0 s is not after 0 s"),
        ("t_s,mbps\n0,1\n3,2\n2,2", "line 4: time 2 s is not after 3 s"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line_that_says_where(text, problem):
    with pytest.raises(ConfigError, match=f"^mine.csv ?{problem}"):
        parse_csv(text, "mine.csv")


@pytest.mark.parametrize(
    ("text", "path", "run", "technology"),
    [
        ("a/b.list", "a/b.list", None, None),
        ("a/b.list:3", "a/b.list", 3, None),
        ("a/b.list:3:LTE", "a/b.list", 3, "lte"),
        ("C:/b.list:12:5g", "C:/b.list", 12, "5g"),
        ("b.list:lte", "b.list:lte", None, None),
    ],
)
def test_a_spec_names_a_file_a_run_and_a_technology(text, path, run, technology):
    spec = parse_trace_spec(text)
    assert (str(spec.path), spec.run, spec.technology) == (path, run, technology)


def test_an_empty_spec_is_refused():
    with pytest.raises(ConfigError, match="not of the form FILE"):
        parse_trace_spec("")


def test_a_spec_chooses_its_run_and_without_one_the_first():
    traces = parse_list(FOUR_LINES + "Run 4\n5\n", "x")
    names = {spec: parse_trace_spec(spec).choose(traces).name for spec in ("x", "x:3:lte", "x:3", "x:4")}
    assert names == {"x": "x run 3 5g", "x:3:lte": "x run 3 lte", "x:3": "x run 3 5g", "x:4": "x run 4"}


def test_a_run_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"x: has no run 4:5g; there is 3:5g, 3:lte, 4$"):
        parse_trace_spec("x:4:5g").choose(parse_list(FOUR_LINES + "Run 4\n5\n", "x"))


def test_pings_are_round_trips_by_run():
    assert [run.tolist() for run in parse_ping_list("#\nRun 1\n30,31.5\n#\nRun 2\n247\n", "ping")] == [
        [30, 31.5],
        [247],
    ]


def test_every_measured_list_is_read_whole():
    lists = sorted(shared_data("traces", "throughput").rglob("*.list"))
    traces = [trace for path in lists for trace in parse_list(path.read_text(), path.stem)]
    assert len(traces) == 157
    assert all(trace.duration_s > 10 and trace.mean_mbps > 0 for trace in traces)
    assert {trace.technology for trace in traces} == {None, "5g", "lte"}


def test_a_measured_run_carries_what_its_file_says():
    path = shared_data("traces", "throughput", "driving", "lte", "throughput.list")
    trace = parse_trace_spec(f"{path}:8").choose(parse_list(path.read_text(), "driving/lte/throughput"))
    assert trace.name == "driving/lte/throughput run 8"
    assert trace.megabits(0, trace.duration_s) == pytest.approx(0.1 * trace.mbps.sum())
    finish_s = trace.finish_s(100.0, 605_000)
    assert trace.megabits(100.0, finish_s) == pytest.approx(4.84)
