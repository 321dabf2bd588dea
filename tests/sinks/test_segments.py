from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.record import to_line
from sinks.segments import (
    Position,
    Segment,
    cut_tail,
    find_segments,
    keep_position,
    last_seqs,
    parse,
    read_parcel,
    read_position,
    records_before,
)
from tests.sinks.samples import numbered

LINES = [to_line(numbered(seq)) for seq in range(4)]


def segment(folder: Path, data: bytes, number: int = 3) -> Segment:
    Segment(number).path(folder).write_bytes(data)
    return next(found for found in find_segments(folder) if found.number == number)


def parcel(folder: Path, data: bytes, most_records: int = 9, most_bytes: int = 1 << 20, start: int = 0):
    return read_parcel(folder, segment(folder, data), Position(3, start), most_records, most_bytes)


def test_segments_are_found_oldest_first_and_measured(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        segment(tmp_path, LINES[0] * (number % 8), number)
    (tmp_path / "notes.ndjson").write_text("of somebody else")
    assert [(s.number, s.records, s.num_bytes) for s in find_segments(tmp_path)] == [
        (9, 1, len(LINES[0])),
        (10, 2, 2 * len(LINES[0])),
        (100, 4, 4 * len(LINES[0])),
    ]


def test_the_last_number_of_each_source_is_found_wherever_it_lies_and_whatever_lies_there(tmp_path: Path):
    door = b'{"clip_id": "d", "source": "door", "seq": %d}\n'
    segment(tmp_path, b"".join([*LINES, door % 9, LINES[1]]), 3)
    odd = b'{"clip_id": 1, "source": [], "seq": 1}\nbroken\n'
    odd += b"".join(
        b'{"clip_id": 1, "source": "a", "seq": %s}\n' % seq for seq in (b'"x"', b"true", b"-1", b"9" * 40)
    )
    segment(tmp_path, door % 7 + odd + door[:20], 4)
    assert last_seqs(tmp_path) == {"abseiling": 3, "door": 9}


@given(st.integers(0, len(LINES[0]) * 2))
def test_a_position_is_sound_only_where_a_record_ends(tmp_path_factory: pytest.TempPathFactory, at: int):
    path = tmp_path_factory.mktemp("segment") / "one"
    path.write_bytes(LINES[0] * 2)
    records, rest = divmod(at, len(LINES[0]))
    assert records_before(path, at) == (None if rest else records)


@pytest.mark.parametrize("tail", [LINES[3][:-1], LINES[3][:9], b"\0" * 5000, b"{}\n", b"[1]\nx\n\n"])
def test_what_a_crash_left_behind_the_last_record_is_cut(tmp_path: Path, tail: bytes) -> None:
    sound = LINES[0] + b"broken\n" + LINES[1]
    torn = segment(tmp_path, sound + tail)
    assert cut_tail(torn, tmp_path) == len(tail)
    assert torn.path(tmp_path).read_bytes() == sound
    assert (torn.num_bytes, torn.records) == (len(sound), 3)


def test_a_sound_end_is_not_touched(tmp_path: Path) -> None:
    sound = segment(tmp_path, b"".join(LINES))
    assert cut_tail(sound, tmp_path) == 0
    assert sound.records == 4


def test_a_position_is_kept_and_found_again(tmp_path: Path) -> None:
    assert read_position(tmp_path) == Position(0, 0)
    keep_position(tmp_path, Position(7, 123))
    assert read_position(tmp_path) == Position(7, 123)


@pytest.mark.parametrize("found", [b"", b"7", b"7 x", b"\xff\xfe", b"\0" * 20, b"-3 -4", b"1 2 3"])
def test_a_position_that_says_nothing_is_the_beginning(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "position").write_bytes(found)
    assert read_position(tmp_path) == Position(0, 0)


def test_a_parcel_holds_whole_records_up_to_either_bound(tmp_path: Path) -> None:
    data = b"".join(LINES)
    assert [len(parcel(tmp_path, data, most).records) for most in (1, 3, 9)] == [1, 3, 4]
    assert len(parcel(tmp_path, data, most_bytes=len(LINES[0] + LINES[1])).records) == 2
    assert len(parcel(tmp_path, data, most_bytes=1).records) == 1
    second = parcel(tmp_path, data, 1, start=len(LINES[0]))
    assert second.records[0].line == LINES[1]
    assert second.records[0].fields["seq"] == 1
    assert second.end == Position(3, len(LINES[0]) + len(LINES[1]))


def test_broken_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    got = parcel(tmp_path, LINES[0] + b"\0\0\n[]\n" + LINES[1])
    assert [record.line for record in got.records] == LINES[:2]
    assert got.num_lines == 4


def test_a_file_shorter_than_it_was_gives_none(tmp_path: Path) -> None:
    shrunk = segment(tmp_path, LINES[0] * 2)
    shrunk.path(tmp_path).write_bytes(LINES[0])
    assert read_parcel(tmp_path, shrunk, Position(3, len(LINES[0])), 9, 999) is None


@pytest.mark.parametrize("line", [LINES[0][:-1], b"3\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n", b"\xff\n"])
def test_only_a_whole_line_with_a_clip_is_a_record(line: bytes) -> None:
    assert parse(line) is None
