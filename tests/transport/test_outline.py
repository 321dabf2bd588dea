"""The outline agrees with the unpacker on what is a container, and refuses too many, too long, too deep."""

import time
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ProtocolError
from transport.outline import DEEPEST, MOST_CONTAINERS, MOST_ITEMS, check_outline
from transport.untrusted import unpack_map

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=70)
    | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=4), inner, max_size=20),
    max_leaves=60,
)


def containers(value: object) -> list[int]:
    """The length in items of every container, deepest first."""
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    found = [length for each in inner for length in containers(each)]
    is_one = isinstance(value, list | dict)
    return [*found, len(value) * (2 if isinstance(value, dict) else 1)] if is_one else found


def within(data: bytes) -> bool:
    try:
        check_outline(data)
    except ValueError:
        return False
    return True


@settings(max_examples=200)
@given(value=values, number=st.integers(1, 30))
def test_an_outline_counts_what_the_unpacker_would_make(value: object, number: int) -> None:
    many = [value] * number
    lengths = containers(many)
    fits = len(lengths) <= MOST_CONTAINERS and sum(lengths) <= MOST_ITEMS
    assert within(msgpack.packb(many)) == fits


@given(depth=st.integers(1, 40), kind=st.sampled_from([b"\x91", b"\x81\xa1a", b"\xdc\0\1", b"\xde\0\1\xa1a"]))
def test_only_so_many_containers_lie_within_each_other(depth: int, kind: bytes) -> None:
    assert within(kind * depth + b"\xc0") == (depth <= DEEPEST)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_within_bounds_or_refused_in_one_line(data: bytes) -> None:
    try:
        check_outline(data)
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdc\x0f\xff" * 16000,
        b"\xde\x0f\xff\xa1a" * 9000,
        b"\x81\xa1a" * 16000,
        b"\x91" * 60000,
        b"\xdc\x0f\xff" + b"\x90" * 60000,
        b"\x9f" * 60000,
        msgpack.packb([[0] * 4000] * 200),
        msgpack.packb({str(row): [{}] * 4000 for row in range(500)}),
        b"\x81\xa1a\xdd\xff\xff\xff\xff" + bytes(60000),
    ],
    ids=range(9),
)
def test_no_bomb_takes_memory_or_time(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            unpack_map(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert min(refusal_s(bomb) for _ in range(10)) < 0.02


def refusal_s(bomb: bytes) -> float:
    """What refusing it takes of this thread, however busy the machine is."""
    began = time.thread_time()
    with pytest.raises(ProtocolError):
        unpack_map(bomb)
    return time.thread_time() - began
