"""Writing a video file."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.errors import ConfigError
from pipeline.items import Pixels


def write_video(path: Path, frames: Iterable[Pixels], fps: float, crf: int = 18) -> None:
    """Write `frames`, uint8 [H, W, 3] RGB of one even size each, as H.264; a frame is dropped once written.

    Raises ConfigError for no frames, for an odd size and for a size that changes.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ConfigError(f"{path}: no frames to write")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ConfigError(f"{path}: frames of {width} x {height}; H.264 takes even sizes only")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        stream.codec_context.thread_count = 1
        for frame in chain([first], rest):
            if frame.shape != first.shape:
                raise ConfigError(f"{path}: frame of shape {frame.shape} after {first.shape}")
            _encode(container, stream, av.VideoFrame.from_ndarray(frame, format="rgb24"))
        _encode(container, stream, None)


def _encode(container: OutputContainer, stream: VideoStream, picture: av.VideoFrame | None) -> None:
    for packet in stream.encode(picture):
        container.mux(packet)
