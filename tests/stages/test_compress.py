import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import CodecError
from pipeline.items import Features, Header, Plan, Pruning
from pipeline.worker import Worker
from stages.compress import Compress
from tests.pipeline.clips import make_clip
from tests.stages.packets import CLOCK, TickingClock
from transport.codecs import get_codec

CLIP = make_clip(3)


def plan(split=2, codec="float32"):
    return Plan(Pruning("falling", 3.0, (3, 2, 1)), split, codec)


def tokens(shape=(5, 8), sizes=None, codec="float32", **rest):
    array = np.random.default_rng(1).standard_normal(shape, np.float32)
    return Features(CLIP, plan(codec=codec), array, sizes, **rest)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    codec=st.sampled_from(["float32", "float32+zstd", "float32+lz4", "float32+lzw"]),
)
def test_what_is_encoded_decodes_to_the_shape_that_the_header_declares(shape, codec):
    features = tokens(shape, codec=codec)
    packet = Compress(None, CLOCK).encode(features)
    assert packet.header.shape == shape
    decoded = get_codec(packet.header.codec).decode(packet.payload, packet.header.shape)
    np.testing.assert_array_equal(decoded, features.array)


def test_the_plans_codec_is_the_one_that_encodes():
    assert len(Compress(None, CLOCK).encode(tokens(codec="float32")).payload) == 5 * 8 * 4
    assert len(Compress(None, CLOCK).encode(tokens(codec="float16")).payload) == 5 * 8 * 2


def test_pixels_go_out_with_their_own_shape_and_no_sizes():
    features = Features(CLIP, plan(0, "raw"), CLIP.frames, None)
    packet = Compress(None, CLOCK).encode(features)
    assert packet.header.shape == CLIP.frames.shape
    assert (packet.payload, packet.sizes) == (CLIP.frames.tobytes(), b"")


def test_the_header_says_which_clip_it_is_and_how_it_was_cut():
    packet = Compress(None, CLOCK).encode(tokens())
    assert packet.header == Header(
        clip_id="cam/000003",
        source="cam",
        seq=3,
        split=2,
        pruning="falling:3",
        removed=(3, 2, 1),
        codec="float32",
        shape=(5, 8),
    )
    assert packet.clip is CLIP
    assert packet.plan == plan()


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=9))
def test_sizes_are_two_little_endian_bytes_a_token_unless_each_stands_for_itself(sizes):
    array = np.array(sizes, np.uint16)
    packet = Compress(None, CLOCK).encode(tokens((len(sizes), 2), array))
    expected = b"".join(size.to_bytes(2, "little") for size in sizes)
    assert packet.sizes == (b"" if set(sizes) == {1} else expected)


def test_no_sizes_are_sent_where_nothing_was_merged():
    assert Compress(None, CLOCK).encode(tokens(sizes=np.ones(5, np.uint16))).sizes == b""


async def test_encoding_is_timed_on_the_codec_thread_and_added_to_the_parts_so_far():
    clock = TickingClock(tick_s=0.25)
    with Worker("codec") as worker:
        packet = await Compress(worker, clock)(tokens(codec="int8", latency_ms={"wait": 1.0, "head": 80.0}))
    assert packet.latency_ms == {"wait": 1.0, "head": 80.0, "encode": 250.0}
    assert clock.threads == {"codec"}


async def test_what_is_only_copied_is_encoded_on_the_spot():
    clock = TickingClock(tick_s=0.25)
    with Worker("codec") as worker:
        await Compress(worker, clock)(tokens(codec="float32"))
    assert clock.threads == {"MainThread"}


async def test_features_that_their_codec_cannot_carry_are_an_error_of_that_clip():
    with Worker("codec") as worker, pytest.raises(CodecError):
        await Compress(worker, CLOCK)(tokens(codec="raw"))
