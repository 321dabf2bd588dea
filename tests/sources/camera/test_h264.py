import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.camera.h264 import (
    FU_A,
    PAYLOAD_BYTES,
    encoded_frame,
    kind_of,
    parameter_sets,
    payloads,
    split_units,
)
from tests.sources.camera.receiving import depacketised

UNITS = st.binary(min_size=1, max_size=300).map(lambda body: bytes((body[0] & 0x60 | 1,)) + body[1:])
PLAIN = UNITS.filter(lambda unit: b"\x00\x00\x01" not in unit and not unit.endswith(b"\x00"))
SEQUENCE, PICTURE, REMARK, KEY, NEXT = b"\x67s", b"\x68p", b"\x06sei", b"\x65key", b"\x41next"


@given(st.lists(UNITS, max_size=5), st.integers(3, 40))
def test_payloads_are_small_and_give_back_every_unit(units, most_bytes):
    sent = [payload for unit in units for payload in payloads(unit, most_bytes)]
    assert all(len(payload) <= most_bytes for payload in sent)
    assert depacketised(sent) == units


@pytest.mark.parametrize(("size", "count"), [(PAYLOAD_BYTES, 1), (PAYLOAD_BYTES + 1, 2), (100_000, 73)])
def test_only_a_unit_that_does_not_fit_is_cut(size, count):
    pieces = payloads(b"\x65" + bytes(size - 1))
    assert len(pieces) == count
    assert {kind_of(piece) for piece in pieces} == ({5} if count == 1 else {FU_A})


@given(st.lists(PLAIN, max_size=5), st.lists(st.sampled_from([b"\x00\x00\x01", b"\x00\x00\x00\x01"])))
def test_a_byte_stream_splits_into_the_units_it_was_made_of(units, starts):
    starts = [*starts, *[b"\x00\x00\x01"] * len(units)]
    stream = b"".join(start + unit for start, unit in zip(starts, units, strict=False))
    assert split_units(stream) == units


@given(st.binary())
def test_any_bytes_split_into_units_that_are_not_empty(stream):
    assert all(split_units(stream))


def test_a_frame_keeps_what_is_played_and_knows_whether_a_decoder_can_begin():
    stream = b"".join(b"\x00\x00\x01" + unit for unit in (SEQUENCE, PICTURE, REMARK, KEY))
    frame = encoded_frame(stream)
    assert frame.units == (SEQUENCE, PICTURE, KEY)
    assert frame.key
    assert frame.num_bytes == 8
    assert parameter_sets(frame.units) == (SEQUENCE, PICTURE)
    assert not encoded_frame(b"\x00\x00\x01" + NEXT).key
