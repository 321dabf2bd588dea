import errno
import logging
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
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
    assert {record.sink for record in caplog.records} == {"far://end"}
    present = FlakyRemote()
    write(spooled(tmp_path, present), 3)
    assert present.seqs == [0, 1, 2, 3]


def test_a_deadline_cuts_the_grace_short_and_the_records_stay(tmp_path):
    absent = FlakyRemote()
    absent.answers = False
    sink = spooled(tmp_path, absent, grace_s=3600.0)
    sink.open()
    sink.write(numbered(0))
    sink.end_by(0.0)
    sink.close()
    assert sink.statistics().spooled == 1
    present = FlakyRemote()
    write(spooled(tmp_path, present), 1)
    assert present.seqs == [0, 1]


@pytest.mark.parametrize("left_s", [0.0, 0.1])
def test_a_thread_that_hangs_is_waited_for_only_briefly_once_there_is_a_deadline(
    tmp_path, left_s, monkeypatch
):
    monkeypatch.setattr("sinks.spooled.HURRIED_HANG_S", 0.05)
    remote, free = FlakyRemote(), threading.Event()

    async def hang(records):
        free.wait()

    remote.send = hang
    sink = spooled(tmp_path, remote)
    sink.open()
    sink.write(numbered(0))
    sink.end_by(time.monotonic() + left_s)
    sink.close()
    free.set()
    assert sink.statistics().spooled == 1


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
    assert [record.sink for record in caplog.records] == ["far://end"]


def test_a_spool_that_is_in_use_is_one_clear_error_and_closing_is_harmless(tmp_path):
    first, second = (spooled(tmp_path, FlakyRemote()) for _ in range(2))
    first.open()
    with pytest.raises(SinkError, match="another run"):
        second.open()
    second.close()
    first.close()
    first.close()


@pytest.mark.parametrize("there", [True, False])
def test_the_next_run_counts_on_whether_records_arrived_or_wait(tmp_path, there):
    remote = FlakyRemote()
    remote.there = there
    for start in (0, 30):
        sink = spooled(tmp_path, remote, grace_s=3600.0 if there else 0.01)
        sink.open()
        assert (sink.next_seq("abseiling"), sink.next_seq("door")) == (start, 0)
        for seq in range(start, start + 30):
            sink.write(numbered(seq))
        sink.close()
    assert remote.seqs == (list(range(60)) if there else [])


def test_numbers_that_cannot_be_read_are_one_clear_error(tmp_path):
    (tmp_path / "numbers").mkdir()
    sink = spooled(tmp_path, FlakyRemote())
    with pytest.raises(SinkError, match="cannot be used"):
        sink.open()
    (tmp_path / "numbers").rmdir()
    write(spooled(tmp_path, FlakyRemote()), 0)


@contextmanager
def full_disk():
    """The disk takes no record, though it would replace what it holds."""

    def refuse(fd, line):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as turned:
        turned.setattr("sinks.spool.write_all", refuse)
        yield


def test_a_full_disk_keeps_nothing_from_a_far_end_that_works_and_no_number_comes_twice(tmp_path, caplog):
    remote = FlakyRemote()
    sink = spooled(tmp_path, remote)
    sink.open()
    sink.write(numbered(0))
    with full_disk():
        for seq in range(1, 30):
            sink.write(numbered(seq))
        now = sink.statistics()
        assert now.failing_since is not None
        assert now.last_error == f"{tmp_path}: records cannot be spooled (No space left on device)"
        while remote.seqs != list(range(30)):
            time.sleep(0.001)
    sink.write(numbered(30))
    assert sink.statistics().failing_since is None
    sink.close()
    assert remote.seqs == list(range(31))
    assert [said.rpartition(" after")[0] or said for said in caplog.messages] == [
        f"{tmp_path}: records cannot be spooled (No space left on device); they wait in memory",
        f"{tmp_path}: takes records again",
    ]
    assert {record.sink for record in caplog.records} == {"far://end"}
    again = spooled(tmp_path, FlakyRemote())
    again.open()
    assert again.next_seq("abseiling") == 31
    again.close()


@pytest.mark.parametrize("room_at_last", [True, False])
def test_in_an_outage_over_a_full_disk_memory_counts_as_waiting_until_the_disk_takes_it(
    tmp_path, room_at_last, caplog
):
    remote = FlakyRemote()
    remote.there = False
    sink = spooled(tmp_path, remote, grace_s=0.01)
    sink.open()
    sink.write(numbered(0))
    with full_disk():
        sink.write(numbered(1))
        assert (sink.statistics().spooled, sink.statistics().waiting) == (1, 1)
        if not room_at_last:
            sink.close()
    sink.close()
    left = 2 if room_at_last else 1
    assert (sink.statistics().spooled, sink.statistics().waiting) == (left, 2 - left)
    assert f"far://end: {left} records stay in {tmp_path}; the next run sends them" in caplog.messages


WRITER = """
import sys
from itertools import count
from pathlib import Path
from pipeline.clock import SystemClock
from sinks.spool import Spool
from sinks.spooled import SpooledSink
from tests.sinks.ends import FlakyRemote
from tests.sinks.samples import numbered
clock, remote = SystemClock(), FlakyRemote()
remote.there = sys.argv[2] == "there"
sink = SpooledSink(Spool(Path(sys.argv[1]), 20_000, clock), remote, clock)
sink.open()
for seq in count(sink.next_seq("abseiling")):
    sink.write(numbered(seq))
    print(seq, flush=True)
"""


def test_killed_again_and_again_while_records_leave_the_disk_no_number_comes_twice(tmp_path):
    ahead = 0
    for there in ("there", "away", "there", "away"):
        command = [sys.executable, "-c", WRITER, str(tmp_path), there]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            seqs = [int(process.stdout.readline()) for _ in range(60)]
            process.send_signal(signal.SIGKILL)
            seqs += [int(line) for line in process.stdout.read().splitlines()]
        assert seqs[0] in (ahead, ahead + 1)
        ahead = seqs[-1] + 1
    assert not (tmp_path / f"{1:016d}.ndjson").exists()
