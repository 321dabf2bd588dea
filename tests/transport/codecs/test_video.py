"""The H.264 codec: any number of frames, good pictures, and no more frames or pixels than declared."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import CodecError
from tests.data import shared_data
from tests.transport.codecs.clips import smooth_clip
from transport.codecs import framing, get_codec


@settings(max_examples=25, deadline=None)
@given(
    num_frames=st.integers(1, 40),
    height=st.integers(1, 40).map(lambda half: 2 * half),
    width=st.integers(1, 40).map(lambda half: 2 * half),
)
def test_any_even_clip_comes_back_frame_by_frame(num_frames: int, height: int, width: int) -> None:
    clip = smooth_clip(num_frames, 80)[:, :height, :width]
    codec = get_codec("h264:18")
    decoded = codec.decode(codec.encode(clip), clip.shape)
    assert decoded.shape == clip.shape and decoded.dtype == np.uint8


def test_frames_come_back_in_order_and_alike() -> None:
    clip = np.repeat(np.arange(20, 180, 10, dtype=np.uint8), 32 * 32 * 3).reshape(16, 32, 32, 3)
    codec = get_codec("h264:10")
    decoded = codec.decode(codec.encode(clip), clip.shape).astype(int)
    assert np.abs(decoded - clip).max() <= 6
    assert codec.max_error(clip) is None


def test_colours_are_kept() -> None:
    clip = np.zeros((2, 32, 32, 3), np.uint8)
    clip[..., 0], clip[..., 2] = 200, 40
    codec = get_codec("h264")
    mean = codec.decode(codec.encode(clip), clip.shape).mean(axis=(0, 1, 2))
    assert np.abs(mean - [200, 0, 40]).max() < 8


def test_a_real_clip_shrinks_a_hundredfold_and_stays_recognisable() -> None:
    av = pytest.importorskip("av")
    video = sorted(shared_data("videos", "actions").glob("*.mp4"))[0]
    with av.open(str(video)) as container:
        frames = (frame.reformat(224, 224, "rgb24").to_ndarray() for frame in container.decode(video=0))
        clip = np.stack([next(frames) for _ in range(16)])
    codec = get_codec("h264:23")
    data = codec.encode(clip)
    decoded = codec.decode(data, clip.shape)
    psnr = 10 * np.log10(255**2 / np.square(decoded.astype(float) - clip).mean())
    assert len(data) < clip.nbytes / 30 and psnr > 28


def test_two_encodings_of_one_clip_are_the_same() -> None:
    codec = get_codec("h264")
    assert codec.encode(smooth_clip()) == codec.encode(smooth_clip())


@pytest.mark.parametrize("shape", [(2, 15, 16, 3), (2, 16, 15, 3)])
def test_odd_sizes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodecError, match="even"):
        get_codec("h264").encode(np.zeros(shape, np.uint8))
    with pytest.raises(CodecError, match="even"):
        get_codec("h264").decode(b"", shape)


@pytest.mark.parametrize(
    "shape", [(5, 64, 64, 3), (3, 64, 64, 3), (4, 64, 32, 3), (4, 32, 32, 3), (4, 128, 64, 3)]
)
def test_another_shape_than_was_encoded_is_refused(shape: tuple[int, ...]) -> None:
    codec = get_codec("h264")
    data = codec.encode(smooth_clip())
    with pytest.raises(CodecError):
        codec.decode(data, shape)


def test_a_picture_far_larger_than_declared_is_refused_before_it_is_decoded() -> None:
    codec = get_codec("h264:51")
    bomb = codec.encode(np.zeros((1, 2048, 2048, 3), np.uint8))
    with pytest.raises(CodecError, match="does not decode"):
        codec.decode(bomb, (1, 32, 32, 3))


@cache
def encoded_once() -> tuple[bytes, ...]:
    """The same packets for every example: the encoder now and then spends a few bytes more or less."""
    return tuple(framing.split("", get_codec("h264").encode(smooth_clip(3, 32)), 3))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_stream_is_refused_or_has_the_declared_shape(data: st.DataObject) -> None:
    codec = get_codec("h264")
    clip, packets = smooth_clip(3, 32), list(encoded_once())
    victim = data.draw(st.integers(0, 2))
    damaged = bytearray(packets[victim])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    packets[victim] = bytes(damaged)
    try:
        assert codec.decode(framing.join(packets), clip.shape).shape == clip.shape
    except CodecError as error:
        assert "\n" not in str(error)


@given(data=st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    for stream in (data, framing.join([data])):
        with pytest.raises(CodecError):
            get_codec("h264").decode(stream, (1, 16, 16, 3))
