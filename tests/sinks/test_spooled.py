import logging
import threading
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import SinkError
from sinks.outage import Outage, SinkStatistics
from sinks.spool import Spool
from sinks.spooled import SpooledSink
from tests.sinks.ends import FlakyRemote
from tests.sinks.samples import numbered


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A thread that does not end when it should hangs its test."""
    monkeypatch.setattr("sinks.spooled.HANG_S", 3600.0)


def spooled(folder: Path, remote: FlakyRemote, grace_s: float = 3600.0) -> SpooledSink:
    clock = SystemClock()
    return SpooledSink(Spool(folder, 1_000_000, clock), remote, clock, grace_s)


def write(sink: SpooledSink, *seqs: int) -> None:
    sink.open()
    for seq in seqs:
        sink.write(numbered(seq))
    sink.close()


def test_what_is_written_arrives_before_close_returns(tmp_path):
    remote = FlakyRemote()
    sink = spooled(tmp_path, remote)
    write(sink, *range(30))
    assert remote.seqs == list(range(30))
    assert sink.statistics() == SinkStatistics("far://end", written=30)


def test_records_arrive_while_the_run_goes_on(tmp_path):
    remote, arrived = FlakyRemote(), threading.Event()
    send = remote.send

    async def heard(records):
        await send(records)
        arrived.set()

    remote.send = heard
    sink = spooled(tmp_path, remote)
    sink.open()
    for seq in range(3):
        sink.write(numbered(seq))
        assert arrived.wait(10)
        arrived.clear()
    assert remote.seqs == [0, 1, 2]
    sink.close()


@pytest.mark.parametrize("outage", ["there", "taking", "answers"])
def test_what_does_not_arrive_within_the_grace_is_said_and_sent_by_the_next_run(tmp_path, outage, caplog):
    absent = FlakyRemote()
    setattr(absent, outage, False)
    write(spooled(tmp_path, absent, grace_s=0.05), 0, 1, 2)
    assert absent.seqs == []
    assert f"far://end: 3 records stay in {tmp_path}; the next run sends them" in caplog.messages
    present = FlakyRemote()
    write(spooled(tmp_path, present), 3)
    assert present.seqs == [0, 1, 2, 3]


def test_how_often_it_tries_again_is_for_who_makes_it_to_say(tmp_path):
    absent, outage, clock = FlakyRemote(), Outage(), SystemClock()
    absent.there = False
    sink = SpooledSink(Spool(tmp_path, 1_000_000, clock), absent, clock, 0.05, outage)
    write(sink, 0)
    assert sink.statistics().failing_since == outage.since is not None


def test_the_state_of_a_source_is_passed_on(tmp_path):
    remote, told = FlakyRemote(), threading.Event()
    tell = remote.tell
    remote.tell = lambda *what: (tell(*what), told.set())
    sink = spooled(tmp_path, remote)
    sink.tell("door", "too early to be heard")
    sink.open()
    sink.tell("door", "running")
    assert told.wait(10)
    sink.close()
    assert remote.states == {"door": "running"}


def test_a_torn_end_is_told(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / f"{1:016d}.ndjson").write_bytes(b'{"clip')
    write(spooled(tmp_path, FlakyRemote()))
    assert f"{tmp_path}: cut 6 bytes of a torn end" in caplog.messages


def test_a_spool_that_is_in_use_is_one_clear_error_and_closing_is_harmless(tmp_path):
    first, second = (spooled(tmp_path, FlakyRemote()) for _ in range(2))
    first.open()
    with pytest.raises(SinkError, match="another run"):
        second.open()
    second.close()
    first.close()
    first.close()
