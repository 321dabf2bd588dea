import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import ProtocolError
from stages.pack_token import MOST, PackToken, unpack_token
from stages.receive import Reply
from stages.tail_infer import Inferred
from tests.stages.frames import channel_of
from transport.messages import MOST_TOKEN_BYTES, Result

SANE = st.floats(-MOST, MOST, width=32)
HUGE = float(np.finfo(np.float32).max)
BEYOND = float(np.nextafter(np.float32(MOST), np.float32(np.inf)))


async def results(*items):
    return [reply.result async for reply in PackToken().run(await channel_of(*items))]


@given(token=arrays(np.float32, st.integers(1, 64), elements=SANE))
async def test_a_token_comes_out_as_it_went_in(token):
    (result,) = await results(Inferred(None, "yard/000000", token, {"tail": 2.0}))
    assert (result.clip_id, result.classes, result.error) == ("yard/000000", (), None)
    assert result.durations_ms == {"tail": 2.0}
    np.testing.assert_array_equal(unpack_token(result.payload, len(token)), token)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.nan, "the part's token is not finite"),
        (HUGE, "the part's token has values beyond 10,000"),
    ],
)
async def test_a_token_that_no_part_has_is_an_error_of_that_clip_alone(value, why):
    bad = Inferred(None, "yard/000000", np.float32([0, value]), {})
    good = Inferred(None, "yard/000001", np.float32([0, 1]), {})
    refused = Reply(None, Result(clip_id="yard/000002", error="100 bytes do not fit"))
    errors = {result.clip_id: result.error for result in await results(bad, good, refused)}
    assert errors == {
        "yard/000000": why,
        "yard/000001": None,
        "yard/000002": "100 bytes do not fit",
    }


@given(num_bytes=st.integers(0, 64), dim=st.integers(1, 16))
def test_only_as_many_bytes_as_the_token_has_are_taken(num_bytes, dim):
    if num_bytes == 4 * dim:
        assert unpack_token(bytes(num_bytes), dim).shape == (dim,)
    else:
        with pytest.raises(ProtocolError, match=f"{num_bytes} bytes are no token of {dim} channels"):
            unpack_token(bytes(num_bytes), dim)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        *((value, "not finite") for value in (np.nan, np.inf, -np.inf)),
        *((value, "has values beyond 10,000") for value in (HUGE, -HUGE, BEYOND)),
    ],
)
def test_a_token_with_values_that_no_part_has_is_refused(value, why):
    with pytest.raises(ProtocolError, match=why):
        unpack_token(np.float32([1, value, 2]).tobytes(), 3)


def test_no_token_at_all_is_refused():
    with pytest.raises(ProtocolError, match="0 bytes"):
        unpack_token(None, 3)


def test_taking_a_token_takes_no_memory_for_it():
    payload = bytes(MOST_TOKEN_BYTES)
    assert np.shares_memory(unpack_token(payload, MOST_TOKEN_BYTES // 4), np.frombuffer(payload, np.uint8))
