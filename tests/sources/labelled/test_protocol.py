import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.labelled.protocol import Protocol

protocols = st.builds(Protocol, st.integers(1, 100), st.sampled_from([1, 3]), st.integers(1, 1000))
clip_lengths = st.integers(1, 64)
video_lengths = st.integers(1, 100_000)


@given(protocols, video_lengths, clip_lengths)
def test_every_position_is_a_frame_of_the_video_and_none_goes_back(
    protocol: Protocol, num_frames: int, clip_frames: int
) -> None:
    positions = protocol.positions(num_frames, clip_frames)
    assert positions.shape == (protocol.clips, clip_frames)
    assert positions.min() == positions[0, 0] == 0
    assert positions.max() < num_frames
    assert (np.diff(positions, axis=0) >= 0).all()


@given(protocols, video_lengths, clip_lengths)
def test_frames_are_a_stride_apart_until_the_last_one_repeats(
    protocol: Protocol, num_frames: int, clip_frames: int
) -> None:
    positions = protocol.positions(num_frames, clip_frames)
    steps = np.diff(positions, axis=1)
    assert ((steps == protocol.stride) | (positions[:, 1:] == num_frames - 1)).all()


@given(protocols.filter(lambda protocol: protocol.clips > 1), video_lengths, clip_lengths)
def test_the_last_clip_ends_at_the_end(protocol: Protocol, num_frames: int, clip_frames: int) -> None:
    span = (clip_frames - 1) * protocol.stride + 1
    last = protocol.positions(num_frames + span, clip_frames)[-1, -1]
    assert last == num_frames + span - 1


@given(protocols, video_lengths, clip_lengths)
def test_clips_begin_evenly_within_one_frame(protocol: Protocol, num_frames: int, clip_frames: int) -> None:
    gaps = np.diff(protocol.positions(num_frames, clip_frames)[:, 0])
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_ten_clips_of_a_ten_second_video() -> None:
    positions = Protocol.parse("10x1").positions(260, 16)
    assert positions[:, 0].tolist() == [0, 22, 44, 66, 88, 111, 133, 155, 177, 199]
    assert positions[-1].tolist() == list(range(199, 260, 4))


def test_a_short_video_repeats_its_last_frame() -> None:
    assert Protocol(2, stride=2).positions(4, 4).tolist() == [[0, 2, 3, 3]] * 2


@given(protocols)
def test_what_a_protocol_is_called_parses_to_it(protocol: Protocol) -> None:
    assert Protocol.parse(str(protocol), protocol.stride) == protocol
    assert protocol.views == protocol.clips * len(protocol.along)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("10", "clips x crops"),
        ("10x", "clips x crops"),
        ("-1x1", "clips x crops"),
        ("9999999x1", "clips x crops"),
        ("0x1", "protocol 0x1: clips must be 1 to 100"),
        ("101x3", "clips must be"),
        ("10x2", "crops must be 1 or 3"),
    ],
)
def test_what_is_no_protocol_is_refused(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Protocol.parse(text)


@pytest.mark.parametrize("stride", [0, 1001])
def test_a_stride_that_makes_no_sense_is_refused(stride: int) -> None:
    with pytest.raises(ConfigError, match=f"stride of {stride}"):
        Protocol.parse("1x1", stride)
