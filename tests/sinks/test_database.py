import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SinkError
from pipeline.items import Prediction, Status
from sinks.courier import RecordsRefused
from sinks.database import LAST, Database, NoRoom, row
from sinks.record import to_line, to_record
from sinks.segments import Spooled, parse
from tests.disks import fill, small_disk
from tests.sinks.samples import DOCUMENTED, numbered, rows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "results.db"


def opened(path: Path, **how: bool) -> Database:
    database = Database(path)
    database.open(**how)
    return database


def spooled(prediction: Prediction, **fields: object) -> Spooled:
    line = to_line(prediction)
    return Spooled(line, {**parse(line).fields, **fields})


def write(path: Path, *predictions: Prediction) -> None:
    database = opened(path)
    database.write([spooled(prediction) for prediction in predictions])
    database.close()


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
    assert record == to_line(DOCUMENTED).decode().rstrip("\n")


def test_a_clip_without_an_answer_has_none_in_its_row(path):
    write(path, replace(DOCUMENTED, status=Status.FAILED, classes=(), latency_ms={}, start_s=float("nan")))
    assert rows(path, "status, class, confidence, latency_ms, start_s") == [("failed", *[None] * 4)]


def test_a_later_run_adds_to_it_and_a_later_record_of_a_clip_replaces_the_earlier(path):
    write(path, numbered(0), numbered(1))
    write(path, replace(numbered(1), status=Status.LATE), numbered(2))
    assert rows(path, "seq, status") == [(0, "ok"), (1, "late"), (2, "ok")]


def test_others_read_while_it_is_written_to(path):
    database = opened(path)
    with sqlite3.connect(path) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM predictions").fetchall()
        database.write([spooled(numbered(0))])
    assert len(rows(path)) == 1
    database.close()


@pytest.mark.parametrize("content", [b"dear diary\n" * 100, b"\0" * 4096])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"notes.txt: not a database of results"):
        opened(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE contacts (name TEXT)", "PRAGMA user_version = 9"])
def test_a_database_of_something_else_is_left_alone(tmp_path, statement):
    path = tmp_path / "contacts.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="version 1; choose another file"):
        opened(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_way_is_one_clear_error(tmp_path):
    with pytest.raises(SinkError, match="results cannot be written"):
        opened(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be written"):
        opened(tmp_path / "file" / "results.db")


@pytest.mark.parametrize("name", ["a#b?mode=memory.db", "50%20.db", ":memory:", "öl.db"])
def test_any_name_of_a_file_is_that_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(Path(name), numbered(0))
    assert {each.name for each in tmp_path.iterdir()} == {name}
    assert len(rows(tmp_path / name)) == 1


def test_only_the_start_of_a_run_makes_a_database(path):
    with pytest.raises(SinkError, match="unable to open database file"):
        opened(path, make=False)
    assert not path.parent.exists()


def test_a_closed_database_is_neither_written_to_nor_read(path):
    database = Database(path)
    with pytest.raises(SinkError, match="written to before it was opened"):
        database.write([])
    with pytest.raises(SinkError, match="read before it was opened"):
        database.next_seq("abseiling")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_was_moved_or_replaced_takes_nothing_more_until_it_is_opened_again(path, replaced):
    moved = path.with_name("moved.db")
    write(path, numbered(0))
    database = opened(path)
    path.rename(moved)
    if replaced:
        write(path.with_name("other.db"))
        path.with_name("other.db").rename(path)
    with pytest.raises(SinkError, match=r"results.db: the database was moved or removed$"):
        database.write([spooled(numbered(1))])
    database.close()
    moved.replace(path)
    assert rows(path, "seq") == [(0,)]
    write(path, numbered(1))
    assert rows(path, "seq") == [(0,), (1,)]


def test_a_database_that_vanishes_while_it_is_written_to_has_not_taken_the_records(path, monkeypatch):
    database = opened(path)

    def vanishing(record):
        path.unlink(missing_ok=True)
        return row(record)

    monkeypatch.setattr("sinks.database.row", vanishing)
    with pytest.raises(SinkError, match="moved or removed"):
        database.write([spooled(numbered(0))])
    database.close()


def test_a_full_disk_takes_all_of_a_parcel_or_nothing_and_breaks_nothing(path):
    database = opened(path)
    database._connection.execute("PRAGMA max_page_count = 8")
    parcels = [[spooled(numbered(seq)) for seq in range(start, start + 4)] for start in range(0, 100, 4)]
    written = 0
    with pytest.raises(SinkError, match="database or disk is full") as raised:
        for parcel in parcels:
            database.write(parcel)
            written += 1
    assert not isinstance(raised.value, RecordsRefused)
    assert rows(path, "seq") == [(seq,) for seq in range(4 * written)]
    database._connection.execute("PRAGMA max_page_count = 1000")
    database.write(parcels[written])
    database.close()
    assert rows(path, "seq") == [(seq,) for seq in range(4 * written + 4)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None},
        {"source": ["a"]},
        {"seq": 1 << 70},
        {"status": "\ud800"},
        {"predictions": {"a": 1}},
        {"predictions": ["a"]},
        {"latency_ms": None},
    ],
    ids=str,
)
def test_a_record_that_is_no_row_is_refused_and_its_parcel_with_it(path, wrong):
    database = opened(path)
    with pytest.raises(RecordsRefused, match=r"results.db: not a row of results \("):
        database.write([spooled(numbered(0)), spooled(numbered(1), **wrong)])
    assert rows(path) == []
    database.write([spooled(numbered(0))])
    assert rows(path, "seq") == [(0,)]
    database.close()


@given(record=st.dictionaries(st.sampled_from(list(to_record(DOCUMENTED))), JSON))
def test_whatever_a_record_says_it_is_a_row_or_refused(tmp_path_factory, record):
    database = opened(tmp_path_factory.getbasetemp() / "any.db")
    try:
        database.write([spooled(numbered(0), **record)])
    except RecordsRefused as error:
        assert "\n" not in str(error)
    finally:
        database.close()


def test_a_database_tells_where_each_source_went_up_to_beyond_a_million_without_reading_all_of_it(path):
    write(path, *map(numbered, (0, 999_999, 1_000_000)))
    database = opened(path)
    assert (database.next_seq("abseiling"), database.next_seq("door")) == (1_000_001, 0)
    (plan,) = database._connection.execute(f"EXPLAIN QUERY PLAN {LAST}", ("abseiling",)).fetchall()
    assert "USING COVERING INDEX" in plan[-1]
    database.close()


def test_a_database_without_the_index_gets_it(path):
    write(path, numbered(4))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP INDEX predictions_of_source")
    database = opened(path)
    assert database.next_seq("abseiling") == 5
    indices = "SELECT count(*) FROM sqlite_master WHERE type = 'index'"
    assert database._connection.execute(indices).fetchone() == (1,)
    database.close()


def test_a_database_on_a_full_disk_is_read_without_a_new_file_beside_it(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "results.db"
        write(path, numbered(7))
        fill(disk)
        database = Database(path)
        with pytest.raises(NoRoom, match=r"results.db: results cannot be written \("):
            database.open()
        before = path.read_bytes()
        database.open_to_read()
        assert (database.next_seq("abseiling"), database.next_seq("door")) == (8, 0)
        with pytest.raises(SinkError, match="readonly"):
            database.write([spooled(numbered(8))])
        database.close()
        assert path.read_bytes() == before


def test_a_full_database_is_said_apart_from_one_that_is_locked(path):
    database = opened(path)
    database._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(NoRoom, match="full"):
        database.write([spooled(numbered(seq)) for seq in range(99)])
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        database._connection.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(SinkError, match="locked") as raised:
            database.write([spooled(numbered(0))])
    assert not isinstance(raised.value, NoRoom)
    database.close()


@pytest.mark.parametrize("content", [None, b"", b"dear diary\n" * 100])
def test_where_there_is_no_database_to_read_it_is_one_clear_error(tmp_path, content):
    path = tmp_path / "results.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SinkError, match=r"results.db: the disk is full and results cannot be read$"):
        Database(path).open_to_read()
    assert path.exists() == (content is not None)
