import logging
import time
from pathlib import Path

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, SinkError
from sinks.courier import Courier
from sinks.database import Database
from sinks.outage import Outage
from sinks.record import to_line
from sinks.segments import Segment
from sinks.spool import Spool
from sinks.sqlite import SqliteRemote
from tests.disks import fill, small_disk
from tests.sinks.databases import LONG_S, locked, opened, run, seqs_in, sink_of
from tests.sinks.samples import numbered
from tests.sinks.server import until

SOURCE = numbered(0).source


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Locks are waited for only briefly, and a thread that does not end when it should hangs its test."""
    monkeypatch.setattr("sinks.database.BUSY_S", 0.001)
    monkeypatch.setattr("sinks.spooled.HANG_S", LONG_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


def test_a_run_that_ends_while_the_database_is_locked_says_what_stays_and_the_next_writes_it(path, caplog):
    caplog.set_level(logging.WARNING)
    with locked(path):
        sink = run(path, 0, 1, 2, grace_s=0.05)
        now = sink.statistics()
        assert (now.written, now.spooled, now.given_up) == (0, 3, 0)
        assert now.failing_since is not None
        assert now.last_error == f"{path}: results cannot be written (database is locked)"
    assert [said for said in caplog.messages if "stay" in said] == [
        f"{path}: 3 records stay in {path.parent / 'spool'}; the next run sends them"
    ]
    run(path, 3)
    assert seqs_in(path) == [0, 1, 2, 3]


def test_a_run_starts_and_counts_on_while_the_database_is_locked(path):
    run(path, 7)
    with locked(path):
        run(path, 8, 9, grace_s=0.01)
        sink = opened(path, grace_s=0.01)
        assert (sink.next_seq(SOURCE), sink.next_seq("door")) == (10, 0)
        sink.close()


def test_what_was_locked_is_written_within_the_same_run_once_it_is_free(path):
    with locked(path):
        sink = opened(path)
        sink.write(numbered(0))
        while sink.statistics().failing_since is None:
            time.sleep(0.001)
    while sink.statistics().spooled:
        time.sleep(0.001)
    now = sink.statistics()
    assert (now.written, now.failing_since) == (1, None)
    assert seqs_in(path) == [0]
    sink.close()


def test_a_spool_beyond_its_bound_gives_up_the_oldest_and_counts_them(path):
    num_bytes = len(to_line(numbered(0)))
    with locked(path):
        sink = opened(path, max_bytes=80 * num_bytes)
        for seq in range(100):
            sink.write(numbered(seq))
        given_up = sink.statistics().given_up
        assert given_up + sink.statistics().spooled == 100
    sink.close()
    assert 20 <= given_up <= 30
    arrived = seqs_in(path)
    assert arrived[given_up - 100 :] == list(range(given_up, 100))
    assert len(arrived) <= 100 - given_up + 10  # a parcel under way may arrive although it was given up


def test_a_record_that_is_no_row_is_given_up_and_holds_no_other(path, caplog):
    spool = Segment(1).path(path.parent / "spool")
    spool.parent.mkdir()
    lines = [to_line(numbered(seq)) for seq in range(5)]
    spool.write_bytes(b"".join([*lines[:2], b'{"clip_id": "door/7", "seq": "x"}\n', *lines[2:]]))
    sink = run(path, 5)
    assert seqs_in(path) == list(range(6))
    assert (sink.statistics().given_up, sink.statistics().written) == (1, 6)
    assert "the record of door/7 is given up" in caplog.text


def test_a_file_of_something_else_gets_no_spool_and_a_spool_in_use_lets_go_of_the_database(path):
    path.write_text("dear diary\n" * 100)
    with pytest.raises(ConfigError, match="not a database of results"):
        opened(path)
    assert [each.name for each in path.parent.iterdir()] == ["results.db"]
    path.unlink()
    first = opened(path)
    second = sink_of(path)
    with pytest.raises(SinkError, match="another run is using this spool; name another folder"):
        second.open()
    with pytest.raises(SinkError, match="closed"):
        second.next_seq(SOURCE)
    first.close()
    opened(path).close()


def test_two_runs_share_a_database_where_each_has_a_spool(path):
    first, second = opened(path), opened(path, spool="other")
    for seq in range(20):
        (first, second)[seq % 2].write(numbered(seq))
    first.close()
    second.close()
    assert seqs_in(path) == list(range(20))


def test_a_long_way_to_the_end_is_broken_off_when_the_grace_is_over(path, monkeypatch):
    with locked(path):
        run(path, *range(400), grace_s=0.0)
    write = Database.write
    monkeypatch.setattr(Database, "write", lambda *what: (time.sleep(0.01), write(*what)))
    monkeypatch.setattr(SqliteRemote, "most_records", 1)
    sink = run(path, grace_s=0.05)
    assert sink.statistics().spooled > 100


async def test_a_database_that_became_something_else_is_an_outage(path):
    run(path)
    path.write_text("dear diary\n" * 100)
    with pytest.raises(SinkError, match="not a database of results"):
        async with SqliteRemote(path).session():
            pass


async def test_a_database_that_is_not_there_is_waited_for_and_not_made_anew(path):
    clock = SystemClock()
    spool = Spool(path.parent / "spool", 4_000_000, clock)
    spool.open()
    courier = Courier(spool, SqliteRemote(path), clock, Outage(0.001, 0.002))
    async with anyio.create_task_group() as group:
        group.start_soon(courier.run)
        await until(lambda: courier.statistics().last_error is not None)
        assert "unable to open database file" in courier.statistics().last_error
        assert not path.exists()
        Database(path).open()
        await until(lambda: courier.statistics().failing_since is None)
        spool.append(to_line(numbered(0)))
        courier.finish()
    assert seqs_in(path) == [0]
    spool.close()


def test_what_comes_while_the_database_is_away_waits_and_is_written_when_it_is_put_back(path, caplog):
    sink, moved = opened(path, grace_s=0.05), path.with_name("moved.db")
    sink.write(numbered(0))
    while not sink.statistics().written:
        time.sleep(0.001)
    path.rename(moved)
    for seq in (1, 2):
        sink.write(numbered(seq))
    while sink.statistics().failing_since is None:
        time.sleep(0.001)
    sink.close()
    assert "moved or removed" in caplog.text
    assert sink.statistics().spooled == 2
    assert not path.exists()
    moved.rename(path)
    run(path, 3)
    assert seqs_in(path) == [0, 1, 2, 3]


@pytest.mark.parametrize("spool", ["beside", "on the same disk"])
def test_a_run_starts_and_counts_on_while_the_disk_is_full_and_its_records_are_written_later(tmp_path, spool):
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "results.db"
        folder = str(tmp_path / "spool") if spool == "beside" else "spool"
        run(path, 0, 1, spool=folder)
        filler = fill(disk)
        sink = opened(path, spool=folder)
        assert sink.next_seq(SOURCE) == 2
        for seq in (2, 3):
            sink.write(numbered(seq))
        while sink.statistics().failing_since is None:
            time.sleep(0.001)
        now = sink.statistics()
        assert (now.spooled, now.waiting) == ((2, 0) if spool == "beside" else (0, 2))
        filler.unlink()
        sink.close()
        assert seqs_in(path) == [0, 1, 2, 3]


def test_a_disk_that_stays_full_to_the_end_leaves_the_records_to_the_next_run(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        path, folder = disk / "results.db", str(tmp_path / "spool")
        run(path, 0, spool=folder)
        filler = fill(disk)
        for seq in (1, 2):
            sink = opened(path, grace_s=0.01, spool=folder)
            assert sink.next_seq(SOURCE) == seq
            sink.write(numbered(seq))
            sink.close()
        filler.unlink()
        run(path, spool=folder)
        assert seqs_in(path) == [0, 1, 2]
