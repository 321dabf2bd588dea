import logging
import threading
from contextlib import contextmanager

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import SinkError
from sinks.outage import Outage, SinkStatistics
from sinks.record import to_line
from sinks.runner import Bounds, SinkRunner
from tests.sinks.ends import FlakySink
from tests.sinks.samples import numbered

FULL = SinkError("out.jsonl: results cannot be written (No space left on device)")


def runner_for(sink: FlakySink, **options: object) -> SinkRunner:
    options = {"grace_s": 5.0, "outage": Outage(first_s=0.001, longest_s=0.002)} | options
    return SinkRunner("out.jsonl", sink, **options)


@contextmanager
def running(sink: FlakySink, **options: object):
    runner = runner_for(sink, **options)
    runner.open()
    yield runner
    runner.close()


def fill(runner: SinkRunner, *seqs: int) -> None:
    for seq in seqs:
        runner.write(numbered(seq))


def test_records_arrive_in_order_on_the_sinks_own_thread_before_close_returns():
    sink, threads = FlakySink(), set()
    write = sink.write
    sink.write = lambda record: (threads.add(threading.current_thread().name), write(record))
    with running(sink) as runner:
        fill(runner, *range(100))
    assert sink.seqs == list(range(100))
    assert threads == {"sink out.jsonl"}
    assert not sink.is_open
    assert runner.statistics() == SinkStatistics("out.jsonl", written=100)


def test_a_sink_that_hangs_stalls_nobody():
    sink = FlakySink()
    sink.free.clear()
    with running(sink) as runner:
        fill(runner, *range(50))
        assert runner.statistics().waiting == 50
        sink.free.set()
    assert sink.seqs == list(range(50))


def test_nothing_that_was_taken_is_lost_in_an_outage_and_it_is_said_once_a_minute(caplog):
    sink, clock = FlakySink(FULL), ManualClock(100.0)
    with running(sink, clock=clock) as runner:
        fill(runner, *range(20))
        for _ in range(3):
            for _ in range(10):
                sink.attempted.clear()
                assert sink.attempted.wait(10)
            assert (runner.statistics().failing_since, runner.statistics().last_error) == (100.0, str(FULL))
            clock.advance(40.0)
        sink.error = None
    assert sink.seqs == list(range(20))
    warned = [record.message for record in caplog.records if "No space left" in record.message]
    assert warned[0].endswith("records wait in memory")
    assert len(warned) == 2
    assert caplog.messages[-1] == "out.jsonl: works again after 120 s"
    assert runner.statistics().failing_since is None


def test_beyond_the_bound_the_run_fails_and_what_was_taken_is_still_written():
    sink = FlakySink(FULL)
    runner = runner_for(sink, bounds=Bounds(most_records=5))
    runner.open()
    fill(runner, *range(5))
    assert sink.attempted.wait(10)
    with pytest.raises(SinkError, match=r"No space left.*5 records wait in memory and no more can"):
        while True:
            runner.write(numbered(5))
    sink.error = None
    runner.close()
    assert sink.seqs[:5] == list(range(5))


def test_bytes_bound_what_waits_as_well():
    sink = FlakySink()
    sink.free.clear()
    with running(sink, bounds=Bounds(most_bytes=len(to_line(numbered(0)) * 3) + 9)) as runner:
        fill(runner, 0, 1, 2)
        with pytest.raises(SinkError, match="too slow; 3 records wait"):
            runner.write(numbered(3))
        sink.free.set()
        while runner.statistics().waiting:
            pass
        fill(runner, 3)
        sink.free.clear()
        fill(runner, 4, 5)
        sink.free.set()
    assert sink.seqs == [0, 1, 2, 3, 4, 5]


def test_a_sink_that_may_lose_records_gives_the_oldest_up_and_counts_them():
    sink = FlakySink()
    sink.free.clear()
    with running(sink, bounds=Bounds(most_records=4, give_up=True, forgiven=True)) as runner:
        fill(runner, 0)
        assert sink.attempted.wait(10)
        fill(runner, *range(1, 11))
        assert runner.statistics().given_up == 7
        sink.free.set()
    assert sink.seqs == [0, 8, 9, 10]


def test_what_cannot_be_written_within_the_grace_is_said_by_an_error():
    sink = FlakySink(FULL)
    runner = runner_for(sink, grace_s=0.02)
    runner.open()
    fill(runner, 0, 1, 2)
    with pytest.raises(SinkError, match=r"No space left on device.*; 3 records were not written"):
        runner.close()
    assert not sink.is_open


def test_a_sink_that_may_lose_records_only_warns_at_the_end(caplog):
    sink = FlakySink(FULL)
    with running(sink, grace_s=0.02, bounds=Bounds(give_up=True, forgiven=True)) as runner:
        fill(runner, 0, 1, 2)
    assert "3 records were not written" in caplog.messages[-1]
    assert runner.statistics().given_up == 3


@pytest.mark.parametrize("still_full", [True, False])
def test_what_had_to_be_given_up_on_the_way_is_an_error_at_the_end(still_full):
    sink = FlakySink(FULL)
    runner = runner_for(sink, grace_s=0.02 if still_full else 60, bounds=Bounds(2, give_up=True))
    runner.open()
    fill(runner, 0)
    assert sink.attempted.wait(10)
    while runner.statistics().last_error is None:
        pass
    fill(runner, *range(1, 5))
    if not still_full:
        sink.error = None
    with pytest.raises(SinkError, match=r"No space left.*; \d records were not written") as raised:
        runner.close()
    assert f"; {5 - len(sink.seqs)} records" in str(raised.value)
    assert runner.statistics().given_up == 5 - len(sink.seqs)


def test_what_the_sink_itself_could_not_get_rid_of_is_an_error_at_the_end():
    behind = SinkStatistics("far://end", waiting=3, last_error=str(FULL))
    runner = runner_for(FlakySink(), behind=lambda: behind)
    runner.open()
    with pytest.raises(SinkError, match=r"No space left on device\); 3 records were not written"):
        runner.close()


def test_a_sink_that_hangs_at_the_end_is_left_behind(monkeypatch):
    monkeypatch.setattr("sinks.runner.ABANDON_S", 0.01)
    sink = FlakySink()
    sink.free.clear()
    runner = runner_for(sink, grace_s=0.01)
    runner.open()
    fill(runner, 0)
    with pytest.raises(SinkError, match="1 records were not written"):
        runner.close()
    assert sink.is_open
    sink.free.set()


@pytest.mark.parametrize(("ends", "grace_s"), [(1e9, 0.02), (-1e9, 3600.0)])
def test_the_end_is_over_at_the_sinks_grace_or_the_deadline_whichever_is_first(ends, grace_s, monkeypatch):
    monkeypatch.setattr("sinks.grace.LEAST_S", 0.02)
    runner = runner_for(FlakySink(FULL), grace_s=grace_s)
    runner.open()
    runner.end_by(ends)
    fill(runner, 0)
    with pytest.raises(SinkError, match="1 records were not written"):
        runner.close()


def test_a_sink_with_a_grace_of_its_own_is_told_of_the_deadline_and_no_other_is():
    told = []
    sink = FlakySink()
    runner_for(sink).end_by(7.0)
    sink.end_by = told.append
    runner_for(sink).end_by(8.0)
    assert told == [8.0]


def test_a_long_wait_for_the_next_attempt_ends_with_the_run():
    sink = FlakySink(FULL)
    with running(sink, outage=Outage(first_s=3600, longest_s=3600), grace_s=60) as runner:
        fill(runner, 0)
        assert sink.attempted.wait(10)
        sink.error = None
    assert sink.seqs == [0]


def test_a_reader_that_has_gone_never_comes_back():
    error = SinkError("standard output: results cannot be written (Broken pipe)")
    error.__cause__ = BrokenPipeError()
    sink = FlakySink(error)
    runner = runner_for(sink)
    runner.open()
    with pytest.raises(SinkError, match=r"\(Broken pipe\)$"):
        while True:
            runner.write(numbered(0))
    with pytest.raises(SinkError, match="were not written"):
        runner.close()


def test_a_record_that_breaks_its_sink_does_not_break_the_next(caplog):
    caplog.set_level(logging.CRITICAL)
    sink = FlakySink()
    write = sink.write
    sink.write = lambda record: write(record) if record.seq != 1 else 1 // 0
    with running(sink) as runner:
        fill(runner, 0, 1, 2)
    assert sink.seqs == [0, 2]
    assert runner.statistics() == SinkStatistics("out.jsonl", written=2, given_up=1)


def test_a_sink_that_does_not_open_is_known_at_once_and_closing_it_is_harmless():
    sink = FlakySink()
    sink.open = lambda: (_ for _ in ()).throw(FULL)
    runner = runner_for(sink)
    with pytest.raises(SinkError, match=r"No space left"):
        runner.open()
    runner.close()


def test_states_reach_a_sink_that_announces_them_and_no_other():
    told = []
    sink = FlakySink()
    runner_for(sink).tell("door", "running")
    sink.tell = lambda *what: told.append(what)
    runner_for(sink).tell("door", "stalled")
    assert told == [("door", "stalled")]


def test_only_a_sink_that_remembers_knows_of_earlier_runs():
    sink = FlakySink()
    assert runner_for(sink).next_seq("door") == 0
    sink.next_seq = {"door": 7}.get
    assert runner_for(sink).next_seq("door") == 7
