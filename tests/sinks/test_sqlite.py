import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SinkError
from pipeline.items import Status
from sinks.outage import Outage
from sinks.record import to_record
from sinks.runner import SinkRunner
from sinks.sqlite import LAST, SqliteSink
from tests.sinks.samples import DOCUMENTED, numbered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "results.db"


def write(path: Path, *predictions) -> None:
    sink = SqliteSink(path)
    sink.open()
    for prediction in predictions:
        sink.write(prediction)
    sink.close()


def rows(path: Path, what: str = "*") -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT {what} FROM predictions ORDER BY clip_id").fetchall()


def test_a_record_is_one_row_with_the_whole_of_it_as_json(path):
    write(path, DOCUMENTED)
    ((*columns, record),) = rows(path)
    assert columns == [
        "abseiling/000003",
        "abseiling",
        3,
        "ok",
        7.68,
        10.2,
        "abseiling",
        0.91,
        201.4,
        "vit_tiny_patch16_224@1f2e3d4c",
    ]
    assert json.loads(record) == to_record(DOCUMENTED)


def test_a_clip_without_an_answer_has_none_in_its_row(path):
    write(path, replace(DOCUMENTED, status=Status.FAILED, classes=(), latency_ms={}))
    assert rows(path, "status, class, confidence, latency_ms") == [("failed", None, None, None)]


def test_a_later_run_adds_to_it_and_a_later_record_of_a_clip_replaces_the_earlier(path):
    write(path, numbered(0), numbered(1))
    write(path, replace(numbered(1), status=Status.LATE), numbered(2))
    assert rows(path, "seq, status") == [(0, "ok"), (1, "late"), (2, "ok")]


def test_others_read_while_it_is_written_to(path):
    sink = SqliteSink(path)
    sink.open()
    with sqlite3.connect(path) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM predictions").fetchall()
        sink.write(numbered(0))
    assert len(rows(path)) == 1
    sink.close()


@pytest.mark.parametrize("content", [b"dear diary\n" * 100, b"\0" * 4096])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"notes.txt: not a database of results"):
        SqliteSink(path).open()
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE contacts (name TEXT)", "PRAGMA user_version = 9"])
def test_a_database_of_something_else_is_left_alone(tmp_path, statement):
    path = tmp_path / "contacts.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="version 1; choose another file"):
        SqliteSink(path).open()
    assert path.read_bytes() == before


def test_a_folder_in_the_way_is_one_clear_error(tmp_path):
    with pytest.raises(SinkError, match="results cannot be written"):
        SqliteSink(tmp_path).open()
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be written"):
        SqliteSink(tmp_path / "file" / "results.db").open()


def test_writing_to_a_closed_sink_is_an_error(path):
    sink = SqliteSink(path)
    with pytest.raises(SinkError, match="before it was opened"):
        sink.write(numbered(0))


def test_a_database_that_somebody_locks_loses_nothing(path, monkeypatch):
    monkeypatch.setattr("sinks.sqlite.BUSY_S", 0.001)
    runner = SinkRunner("results.db", SqliteSink(path), outage=Outage(0.001, 0.001), grace_s=30)
    runner.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for seq in range(5):
        runner.write(numbered(seq))
    while runner.statistics().last_error is None:
        pass
    assert "results.db: results cannot be written (database is locked)" in runner.statistics().last_error
    assert runner.statistics().waiting == 5
    other.execute("COMMIT")
    other.close()
    runner.close()
    assert rows(path, "seq") == [(seq,) for seq in range(5)]


def test_a_full_disk_loses_nothing_and_breaks_nothing(path):
    sink = SqliteSink(path)
    sink.open()
    sink._connection.execute("PRAGMA max_page_count = 8")
    written = 0
    with pytest.raises(SinkError, match="database or disk is full"):
        for written in range(100):
            sink.write(numbered(written))
    sink._connection.execute("PRAGMA max_page_count = 1000")
    sink.write(numbered(written))
    sink.close()
    assert rows(path, "seq") == [(seq,) for seq in range(written + 1)]


def test_a_database_tells_where_each_source_went_up_to_beyond_a_million_without_reading_all_of_it(path):
    write(path, *map(numbered, (0, 999_999, 1_000_000)))
    sink = SqliteSink(path)
    with pytest.raises(SinkError, match="read before it was opened"):
        sink.next_seq("abseiling")
    sink.open()
    assert (sink.next_seq("abseiling"), sink.next_seq("door")) == (1_000_001, 0)
    (plan,) = sink._connection.execute(f"EXPLAIN QUERY PLAN {LAST}", ("abseiling",)).fetchall()
    assert "USING COVERING INDEX" in plan[-1]
    sink.close()


def test_a_database_without_the_index_gets_it(path):
    write(path, numbered(4))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP INDEX predictions_of_source")
    sink = SqliteSink(path)
    sink.open()
    assert sink.next_seq("abseiling") == 5
    assert sink._connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index'").fetchone() == (
        1,
    )
    sink.close()
