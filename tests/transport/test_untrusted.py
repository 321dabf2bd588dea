"""Reading what a stranger wrote."""

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ProtocolError
from transport.outline import MOST_CONTAINERS
from transport.untrusted import one_line, unpack_map


def test_a_map_is_read_with_arrays_as_tuples() -> None:
    assert unpack_map(msgpack.packb({"a": [1, [2.5, None]], "b": b"x"})) == {"a": (1, (2.5, None)), "b": b"x"}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "incomplete"),
        (msgpack.packb([1]), "a msgpack tuple where a map belongs"),
        (msgpack.packb({"a": 1}) + b"\x00", "extra"),
        (msgpack.packb({1: 2}), "map key"),
        (b"\xdf\xff\xff\xff\xff", "items in maps and arrays"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "items in maps and arrays"),
        (msgpack.packb({str(number): 0 for number in range(5000)}), "max_map_len"),
        (msgpack.packb({"a": [0] * 5000}), "max_array_len"),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", "incomplete"),
        (b"\x91" * 5000, "nested too deep"),
        (msgpack.packb({"a": "x" * 5000}), "max_str_len"),
        (b"\x81\xa1a\xa1\xff", "utf-8"),
        (msgpack.packb({"a": msgpack.ExtType(5, b"")}), "extension"),
        (msgpack.packb({"a": msgpack.Timestamp(1)}), "ext"),
        (msgpack.packb({"a": [[]] * (MOST_CONTAINERS + 1)}), "maps and arrays"),
        (msgpack.packb({"a": [{}] * (MOST_CONTAINERS + 1)}), "maps and arrays"),
    ],
)
def test_anything_else_is_refused_with_what_was_wrong(data: bytes, line: str) -> None:
    with pytest.raises(ProtocolError, match=f"(?i){line}"):
        unpack_map(data)


def test_small_containers_do_not_unpack_into_many_times_their_size() -> None:
    bomb = msgpack.packb({str(row): [{}] * 4000 for row in range(500)})
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            unpack_map(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000 < len(bomb)


@given(text=st.text(max_size=300), limit=st.integers(4, 100))
def test_one_line_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit and line.isprintable()


def test_one_line_keeps_short_plain_text() -> None:
    assert one_line("a plain line") == "a plain line"
    assert one_line("two\nlines") == "two lines"
