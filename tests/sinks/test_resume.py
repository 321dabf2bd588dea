import io
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.items import Status
from sinks.record import to_line
from sinks.resume import MAX_LINE_BYTES, DoneClip, Written, read_written
from tests.sinks.samples import numbered

LINES = [to_line(numbered(seq)) for seq in range(5)]
WHOLE = b"".join(LINES)


def read(content: bytes) -> Written:
    return read_written(io.BytesIO(content), "out.jsonl")


def test_whole_records_are_all_found() -> None:
    written = read(WHOLE)
    assert list(written.done) == [f"abseiling/{seq:06d}" for seq in range(5)]
    assert written.done["abseiling/000002"] == DoneClip(5.12, Status.OK)
    assert written.models == {"vit_tiny_patch16_224@1f2e3d4c"}
    assert written.sound_bytes == len(WHOLE)
    assert written.next_seq == {"abseiling": 5}
    assert not written.duplicates


@given(st.permutations(LINES), st.permutations(range(3)))
def test_each_source_is_counted_up_to_its_last_whatever_the_order(lines, others) -> None:
    doors = [to_line(replace(numbered(seq), source="door", clip_id=f"door/{seq:06d}")) for seq in others]
    assert read(b"".join([*lines, *doors])).next_seq == {"abseiling": 5, "door": 3}


@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_is_sound_up_to_its_last_whole_line(cut: int) -> None:
    written = read(WHOLE[:cut])
    whole_lines = WHOLE[:cut].count(b"\n")
    assert len(written.done) == whole_lines
    assert written.sound_bytes == sum(map(len, LINES[:whole_lines]))


@pytest.mark.parametrize(
    "tail",
    [
        b"\0" * 5000,
        b"\0" * 100 + b"\n",
        b"\xff\xfe\n\x80garbage\n\n",
        b"{}",
        LINES[0][:-1],
        b"[" * 10000 + b"\n",
    ],
)
def test_what_a_crash_left_behind_the_last_record_does_not_count(tail: bytes) -> None:
    assert read(WHOLE + tail).sound_bytes == len(WHOLE)


@pytest.mark.parametrize("torn", [b"\0" * 100, LINES[0][:5], LINES[0][:-1], b"", b"\n"])
def test_a_file_of_nothing_but_a_torn_line_is_an_empty_one(torn: bytes) -> None:
    assert read(torn) == Written()


@pytest.mark.parametrize("broken", [b'{"schema": 1, "cl\n', b"\0\0\0" + LINES[2], b"\n", b"7\n"])
def test_a_broken_line_with_a_record_behind_it_is_named(broken: bytes) -> None:
    with pytest.raises(SinkError, match=r"out.jsonl: line 3 is broken"):
        read(LINES[0] + LINES[1] + broken + LINES[3])


@pytest.mark.parametrize(
    "content",
    [b"dear diary\n", b'{"answer": 42}', b"{\n", b'{"schema": 2, "clip_id": "a"}\n', b'{"schema": 1}\n'],
)
def test_a_file_of_something_else_is_left_alone(content: bytes) -> None:
    with pytest.raises(SinkError, match="choose another output"):
        read(content)


def test_a_record_of_another_format_is_never_cut_off() -> None:
    with pytest.raises(SinkError, match="line 6 is of schema 2"):
        read(WHOLE + b'{"schema": 2, "clip_id": "a"}\n')


def test_a_clip_found_twice_is_noticed() -> None:
    assert read(WHOLE + LINES[1]).duplicates == {"abseiling/000001"}


def test_a_clip_that_no_model_saw_mixes_no_models() -> None:
    unseen = to_line(replace(numbered(5), status=Status.DROPPED, model=""))
    assert read(WHOLE + unseen).models == {"vit_tiny_patch16_224@1f2e3d4c"}


def test_a_huge_tail_without_a_newline_is_read_in_pieces() -> None:
    content = WHOLE + b"\0" * (40 * MAX_LINE_BYTES)
    file = io.BytesIO(content)
    tracemalloc.start()
    assert read_written(file, "out.jsonl").sound_bytes == len(WHOLE)
    assert tracemalloc.get_traced_memory()[1] < 8 * MAX_LINE_BYTES
    tracemalloc.stop()
