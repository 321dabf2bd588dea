from dataclasses import replace

import pytest

from benchmarks.faults.checks import doubled, figures, growth, missing, needless, returns
from benchmarks.faults.evidence import Change, Line, Sample, Suffered, Wait
from tests.benchmarks.faults.runs import WANTED, good_run, late, record

DOWN = Suffered("camera-1", "down", 200.0, 205.0)


def bad(evidence, wanted=WANTED):
    """The names of the figures that are not as wanted."""
    return [figure.name for figure in figures(evidence, wanted) if not figure.good]


def test_a_good_run_is_good():
    assert bad(good_run()) == []


def test_a_fault_that_did_not_happen_is_told():
    evidence = good_run()
    evidence.suffered = evidence.suffered[1:]
    assert bad(evidence) == ["faults that happened"]


def test_a_clip_with_two_records_is_told():
    records = [record(0), record(1), record(1)]
    assert (doubled(records), missing(records)) == (1, 0)
    evidence = good_run()
    evidence.lines.append(evidence.lines[-1])
    assert "clips with a second record" in bad(evidence)


def test_a_number_without_a_record_is_told_for_each_source_from_zero_on():
    assert missing([record(1), record(2)]) == 1
    assert missing([record(0), record(3)]) == 2
    assert missing([record(0), record(1), record(0, source="camera-2")]) == 0
    assert missing([record(0), record(2, source="camera-2")]) == 2
    evidence = good_run()
    del evidence.lines[4]
    assert "numbers of clips without a record" in bad(evidence)


def test_a_device_that_counts_otherwise_than_its_file_is_told():
    evidence = good_run()
    evidence.totals = {"ok": 9, "late": 1, "dropped": 0, "failed": 0}
    assert bad(evidence) == ["records in the results"]


def test_a_run_without_any_record_is_not_good():
    evidence = good_run()
    evidence.lines, evidence.totals, evidence.counted = [], {}, 0
    assert "records in the results" in bad(evidence)
    assert "admitted, just before the end" in bad(evidence)


def test_a_clip_that_was_admitted_and_has_no_record_is_told():
    evidence = good_run()
    evidence.counted = 11
    assert bad(evidence) == ["admitted, just before the end"]


def test_a_record_may_reach_the_webhook_late_or_twice_but_not_never():
    evidence = good_run()
    evidence.arrived["camera-1/000003"] = 2
    del evidence.arrived["camera-1/000004"]
    assert bad(evidence) == ["records that the webhook lacks"]
    evidence.spooled = {"camera-1/000004"}
    assert bad(evidence) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"exit_status": None}, "exit status after SIGTERM"),
        ({"exit_status": 1}, "exit status after SIGTERM"),
        ({"tracebacks": 1}, "tracebacks in the logs"),
        ({"leaks": 1}, "secrets in logs and records"),
        ({"samples": []}, "samples of the device"),
    ],
)
def test_what_else_must_not_be_is_told(changed, name):
    assert bad(replace(good_run(), **changed)) == [name]


@pytest.mark.parametrize("value", ["rss_mb", "threads", "files"])
def test_what_grows_is_told_and_what_grows_in_the_warm_up_is_not(value):
    evidence = good_run()
    early = [replace(evidence.samples[0], at=float(second), **{value: 1}) for second in range(99)]
    evidence.samples = [*early, *evidence.samples]
    assert bad(evidence) == []
    last = len(evidence.samples) - 50
    evidence.samples[last:] = [
        replace(each, **{value: getattr(each, value) * 1.2}) for each in evidence.samples[last:]
    ]
    assert len(bad(evidence)) == 1


def test_growth_is_the_mean_of_the_last_third_against_the_first():
    samples = [Sample(float(at), mb, 1, 1, 0) for at, mb in enumerate((1.0, 3.0, 50.0, 50.0, 4.0, 6.0))]
    assert growth(samples, lambda each: each.rss_mb) == (2.0, 5.0)


def back(changes, waits=(), suffered=(DOWN,)):
    return returns(suffered, [Change(at, "camera-1", state) for at, state in changes], waits)[0]


def test_a_camera_is_back_when_it_runs_and_the_backoff_is_taken_off():
    waits = [Wait(201.0, "camera-1", 1.0), Wait(204.0, "camera-1", 3.0), Wait(204.0, "camera-2", 9.0)]
    found = back([(200.1, "reconnecting"), (208.0, "running")], waits)
    assert (found.seconds, found.waited_s, found.own_s) == (3.0, 2.0, 1.0)


def test_a_loss_that_is_noticed_after_the_fault_is_over_counts():
    instant = Suffered("camera-1", "fin", 200.0, 200.0)
    found = back([(90.0, "running"), (200.2, "reconnecting"), (201.5, "running")], (), (instant,))
    assert found.seconds == 1.5


def test_a_camera_that_is_back_before_the_fault_is_over_needs_no_time():
    assert back([(200.1, "reconnecting"), (203.0, "running")]).seconds == 0.0


@pytest.mark.parametrize("changes", [[(90.0, "running")], [(200.1, "reconnecting")], [(200.1, "stalled")]])
def test_a_camera_that_never_left_or_never_came_is_told(changes):
    assert back(changes).own_s == float("inf")
    evidence = good_run()
    evidence.changes = [Change(at, "camera-1", state) for at, state in changes]
    assert "camera faults not felt, or without a return" in bad(evidence)


def test_a_camera_that_came_and_went_again_while_the_fault_lasted_is_not_back_yet():
    changes = [(200.1, "reconnecting"), (202.0, "running"), (203.0, "reconnecting"), (208.0, "running")]
    assert back(changes).seconds == 3.0


def test_a_return_after_the_next_fault_is_none():
    again = Suffered("camera-1", "rst", 210.0, 210.0)
    other = Suffered("camera-2", "rst", 206.0, 206.0)
    changes = [(200.1, "reconnecting"), (211.0, "running")]
    assert back(changes, (), (DOWN, again)).seconds is None
    assert back(changes, (), (DOWN, other)).seconds == 6.0


def test_a_camera_that_takes_over_five_seconds_is_told():
    evidence = good_run()
    evidence.changes[-1] = replace(evidence.changes[-1], at=212.5)
    assert bad(evidence) == ["camera back after its return, less backoff: p50, p95, max"]


def run_with(*records):
    """Clips that ran on the device in 90 ms, a second each, and then these."""
    lines = [Line(record(seq), float(seq)) for seq in range(40)]
    return [*lines, *(Line(each, 40.0) for each in records)]


def test_a_late_clip_is_needless_where_the_device_had_the_time():
    lines = run_with(late(40, "cloud", 91.0), late(41, "rescue", 89.0), late(42, "split", 191.0, 110.0))
    assert [line.record["seq"] for line in needless(lines)] == [40]


def test_a_clip_that_was_late_on_the_device_itself_is_not_needless():
    assert needless(run_with(late(40, "device", 500.0))) == []


def test_the_device_is_as_slow_as_it_was_at_that_time():
    slow = {"latency_ms": {"wait": 10.0, "head": 390.0, "total": 400.0}}
    lines = run_with(late(40, "cloud", 300.0))
    lines[39] = Line(lines[39].record | slow, 39.0)
    assert len(needless(lines)) == 1, "one of forty is not the rule"
    assert needless([line for line in lines if line.at > 34]) == [], "one of five is"
    lines = [*run_with(), *(Line(record(50 + index, **slow), 80.0) for index in range(20))]
    assert needless([*lines, Line(late(70, "cloud", 300.0), 80.0)]) == []
    assert len(needless([*lines, Line(late(70, "cloud", 300.0), 30.0)])) == 1


def test_where_nothing_ran_on_the_device_every_late_clip_is_needless():
    assert len(needless([Line(late(0, "cloud", 1.0), 0.0)])) == 1


def test_needless_lateness_is_told_and_other_lateness_is_not():
    evidence = good_run()
    evidence.lines.append(Line(late(10, "device", 500.0), 110.0))
    evidence.totals |= {"late": 1}
    evidence.arrived["camera-1/000010"] = 1
    assert bad(evidence) == []
    evidence.lines[-1] = Line(late(10, "cloud", 500.0), 110.0)
    assert bad(evidence) == ["late clips that device-only would have made"]
