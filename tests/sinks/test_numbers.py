import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.numbers import MOST_BYTES, Numbers, read_numbers, replace_numbers
from sinks.record import to_line
from sinks.segments import MOST_SEQ, Segment
from tests.sinks.samples import numbered

SEQS = st.integers(0, MOST_SEQ - 1)


@given(st.lists(st.tuples(st.text(st.characters(), max_size=3), SEQS), max_size=8))
def test_the_highest_number_of_each_source_outlives_the_run(tmp_path_factory, notes):
    folder = tmp_path_factory.mktemp("spool")
    numbers = Numbers(folder)
    for source, seq in notes:
        numbers.note(source, seq)
    numbers.keep()
    later = Numbers(folder)
    for each in (numbers, later):
        for source, _ in notes:
            assert each.next_seq(source) == max(seq for name, seq in notes if name == source) + 1
        assert each.next_seq("never seen") == 0


@pytest.mark.parametrize(("kept", "ahead"), [(2, 6), (5, 6), (9, 10)])
def test_what_lies_in_the_spool_counts_beside_what_was_kept(tmp_path, kept, ahead):
    replace_numbers(tmp_path, {"abseiling": kept, "door": 7})
    Segment(1).path(tmp_path).write_bytes(to_line(numbered(5)))
    numbers = Numbers(tmp_path)
    numbers.load()
    Segment(1).path(tmp_path).unlink()
    assert (numbers.next_seq("abseiling"), numbers.next_seq("door")) == (ahead, 8)


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b'{"door": 1',
        b"[1]",
        b'{"door": "1"}',
        b'{"door": -1}',
        b'{"door": 1.0}',
        b'{"door": true}',
        b'{"door": %d}' % MOST_SEQ,
        b'{"door": %s}' % (b"9" * 5000),
        b"[" * 100_000,
        b"\xff\xfe\0",
        b'{"door": 1}' + b" " * MOST_BYTES,
    ],
    ids=lambda found: repr(found[:20]),
)
def test_numbers_that_say_nothing_are_ignored_with_one_warning(tmp_path, caplog, found):
    (tmp_path / "numbers").write_bytes(found)
    Segment(1).path(tmp_path).write_bytes(to_line(numbered(5)))
    numbers = Numbers(tmp_path)
    assert (numbers.next_seq("door"), numbers.next_seq("abseiling")) == (0, 6)
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path}/numbers: cannot be understood and is ignored")
    numbers.keep()
    assert read_numbers(tmp_path) == {"abseiling": 5}


def test_a_folder_in_the_way_is_an_error_and_not_a_beginning(tmp_path):
    (tmp_path / "numbers").mkdir()
    with pytest.raises(OSError):
        Numbers(tmp_path).load()


def test_a_disk_that_refuses_keeps_the_old_numbers(tmp_path, monkeypatch):
    replace_numbers(tmp_path, {"door": 1})

    def half(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sinks.numbers.write_all", half)
    with pytest.raises(OSError, match="No space"):
        replace_numbers(tmp_path, {"door": 2})
    assert read_numbers(tmp_path) == {"door": 1}


def test_the_next_numbers_need_no_room_that_a_full_disk_has_not(tmp_path: Path):
    replace_numbers(tmp_path, {"door": 10})
    spare = (tmp_path / "numbers.new").stat()
    assert spare.st_size == (tmp_path / "numbers").stat().st_size
    replace_numbers(tmp_path, {"door": 9})
    assert (tmp_path / "numbers").stat().st_ino == spare.st_ino
    assert read_numbers(tmp_path) == {"door": 9}


@pytest.mark.parametrize("left", ["nothing", "a link of the kept ones", "a link of older ones"])
def test_a_full_disk_takes_numbers_again_and_again_without_a_new_file(tmp_path, left):
    Numbers(tmp_path).reserve()
    files = {path.stat().st_ino for path in tmp_path.iterdir()}
    held = [path.open() for path in tmp_path.iterdir()]  # so that no new file gets one of their numbers
    if left != "nothing":
        os.link(tmp_path / "numbers", tmp_path / "numbers.old")
    if left == "a link of older ones":
        (tmp_path / "numbers.new").replace(tmp_path / "numbers")
    for seq in range(5):
        replace_numbers(tmp_path, {"door": seq})
        assert read_numbers(tmp_path) == {"door": seq}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numbers", "numbers.new"]
    if left != "a link of older ones":
        assert {path.stat().st_ino for path in tmp_path.iterdir()} == files
    for file in held:
        file.close()


def test_a_disk_without_room_at_the_beginning_keeps_nobody_from_it(tmp_path, monkeypatch):
    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sinks.numbers.write_all", full)
    Numbers(tmp_path).reserve()
    assert read_numbers(tmp_path) == {}
