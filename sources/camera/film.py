"""What the camera sees: a video or a pattern, as H.264, round after round."""

import logging
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, SourceError
from pipeline.items import Frame, Pixels
from sources.base import FALLBACK_RATE, FrameGeometry
from sources.camera.h264 import EncodedFrame, encoded_frame
from sources.file import FileSource
from sources.pattern import PatternSource
from sources.registry import PATTERN, parse_pattern

logger = logging.getLogger(__name__)

KEPT_BYTES = 64 << 20
KEY_EVERY_S = 1.0
PATTERN_SIZE = 256
LEAST_SIDE = 16


class Film:
    """Encoded frames without end; every round of the video begins with a key frame.

    The first round is encoded as it is asked for. Where it came to no more than KEPT_BYTES it is kept
    and played again from memory; else every round is encoded anew. Blocks; for one thread. ConfigError
    or SourceError, at the first frame, for what cannot be played.
    """

    def __init__(self, video: str, fps: float | None) -> None:
        self.rate = fps or FALLBACK_RATE
        self.size = (0, 0)
        self._video = video
        self._fps = fps
        self._frames = self._rounds()

    def next(self) -> EncodedFrame:
        """The next frame; `rate`, in frames a second, and `size`, (width, height), are known from then on."""
        return next(self._frames)

    def close(self) -> None:
        """Free what is held; no frame comes after."""
        self._frames.close()

    def _rounds(self) -> Generator[EncodedFrame, None, None]:
        kept: list[EncodedFrame] = []
        held = 0
        for frame in self._round():
            held += frame.num_bytes
            if held > KEPT_BYTES:
                kept.clear()
            else:
                kept.append(frame)
            yield frame
        while True:
            yield from kept or self._round()

    def _round(self) -> Iterator[EncodedFrame]:
        given = 0
        try:
            for frame in self._encoded():
                yield frame
                given += 1
        except SourceError as error:
            if not given:
                raise
            logger.warning("%s; the camera goes round what is there", error)

    def _encoded(self) -> Iterator[EncodedFrame]:
        encoder = None
        for index, picture in enumerate(self._pictures()):
            upright = _upright(picture)
            if encoder is None:
                self.size = (upright.width & ~1, upright.height & ~1)
                encoder = self._encoder()
            plain = upright.reformat(*self.size, format="yuv420p")
            plain.pts, plain.time_base, plain.pict_type = index, encoder.time_base, PictureType.NONE
            yield from self._encode(encoder, plain)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        if self._video.startswith(PATTERN):
            return self._pattern()
        return self._file()

    def _pattern(self) -> Iterator[av.VideoFrame]:
        options = parse_pattern(self._video)
        self.rate = self._fps or options.fps
        source = PatternSource(
            "camera",
            seed=options.seed,
            size=PATTERN_SIZE,
            fps=None,
            clips=options.clips,
            clock=SystemClock(),
        )
        for frame in source.frames():
            if isinstance(frame, Frame):
                yield av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")

    def _file(self) -> Iterator[av.VideoFrame]:
        path = Path(self._video)
        if not path.is_file():
            raise ConfigError(f"video {self._video!r}: no such file; give a video, or pattern:motions")
        source = FileSource(path, "camera", FrameGeometry(PATTERN_SIZE), SystemClock())
        for picture in source.pictures():
            self.rate = self._fps or source.rate or FALLBACK_RATE
            yield picture

    def _encoder(self) -> VideoCodecContext:
        """One slice a frame, no frame held back, a key frame every KEY_EVERY_S."""
        if min(self.size) < LEAST_SIDE:
            raise SourceError("camera", f"{self._video}: pictures under {LEAST_SIDE} pixels are not encoded")
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = self.size
        encoder.pix_fmt = "yuv420p"
        encoder.framerate = Fraction(self.rate).limit_denominator(1001)
        encoder.time_base = 1 / encoder.framerate
        encoder.gop_size = max(1, round(self.rate * KEY_EVERY_S))
        encoder.thread_count = 1
        encoder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": "23",
            "sc_threshold": "0",
        }
        return encoder

    def _encode(self, encoder: VideoCodecContext, picture: av.VideoFrame) -> Iterator[EncodedFrame]:
        try:
            packets = encoder.encode(picture)
        except av.error.FFmpegError as error:
            raise SourceError("camera", f"{self._video}: cannot be encoded ({error.strerror})") from error
        for packet in packets:
            yield encoded_frame(bytes(packet))


def _upright(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture as it is meant to be seen."""
    quarters = round(picture.rotation / 90) % 4
    if not quarters:
        return picture
    pixels: Pixels = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, quarters)), format="rgb24")
