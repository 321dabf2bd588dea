"""The codec for pixels that uses what neighbouring frames share: one H.264 stream a clip."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import ClassVar

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from pipeline.errors import CodecError
from transport.codecs import framing
from transport.codecs.codec import Array, ErrorBound, Kind, Shape, check_array, check_shape
from transport.codecs.parameter_sets import check_parameter_sets

PLANES = "yuv420p"
LINE_ALIGNMENT = 64


class H264:
    """H.264 at a constant rate factor of 0 to 51, 4:2:0: even heights and widths only."""

    kind: ClassVar[Kind] = "pixels"

    def __init__(self, crf: int) -> None:
        self.name = f"h264:{crf}"
        self._crf = crf

    def encode(self, array: Array) -> bytes:
        check_array(self.name, self.kind, array)
        self._check_even(array.shape)
        return framing.join(list(_packets(self._encoder(array.shape), array)))

    def decode(self, data: bytes, shape: Shape) -> Array:
        check_shape(self.name, self.kind, shape)
        self._check_even(shape)
        chunks = framing.split(self.name, data, shape[0])
        frames = np.empty(shape, dtype=np.uint8)
        count = 0
        try:
            check_parameter_sets(chunks, *_padded(shape))
            for count, frame in enumerate(_frames(_decoder(shape), chunks), start=1):
                self._store(frame, count, frames)
        except (av.FFmpegError, ValueError) as error:
            raise CodecError(f"{self.name}: the stream does not decode ({error})") from None
        if count != len(frames):
            raise CodecError(f"{self.name}: {count} frames where {len(frames)} were declared")
        return frames

    def max_error(self, array: Array) -> ErrorBound:
        return None

    def _check_even(self, shape: Shape) -> None:
        if shape[1] % 2 or shape[2] % 2:
            raise CodecError(f"{self.name}: takes even heights and widths, got {shape[1]} x {shape[2]}")

    def _encoder(self, shape: Shape) -> VideoCodecContext:
        context = VideoCodecContext.create("libx264", "w")
        context.height, context.width = shape[1:3]
        context.pix_fmt = PLANES
        context.framerate = Fraction(25)
        context.thread_count = 1
        context.options = {"preset": "veryfast", "crf": str(self._crf)}
        return context

    def _store(self, frame: av.VideoFrame, count: int, frames: NDArray[np.uint8]) -> None:
        declared = frames.shape[1:3]
        found = (frame.height, frame.width)
        if found != declared or frame.format.name != PLANES or frame.is_corrupt:
            raise CodecError(f"{self.name}: a damaged frame, or {found} {frame.format.name}, not {declared}")
        if count > len(frames):
            raise CodecError(f"{self.name}: more than the declared {len(frames)} frames")
        cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420, dst=frames[count - 1])


def _packets(encoder: VideoCodecContext, clip: NDArray[np.uint8]) -> Iterator[bytes]:
    for index, picture in enumerate(clip):
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format=PLANES)
        frame.pts = index
        yield from map(bytes, encoder.encode(frame))
    yield from map(bytes, encoder.encode(None))


def _padded(shape: Shape) -> tuple[int, int]:
    """Height and width as FFmpeg counts them: whole macroblocks, and lines padded for its vector units."""
    height, width = (-(-size // LINE_ALIGNMENT) * LINE_ALIGNMENT for size in shape[1:3])
    return height, width


def _decoder(shape: Shape) -> VideoCodecContext:
    context = VideoCodecContext.create("h264", "r")
    height, width = _padded(shape)
    context.options = {"max_pixels": str(height * width), "err_detect": "explode"}
    context.thread_count = 1
    return context


def _frames(decoder: VideoCodecContext, chunks: Iterable[bytes]) -> Iterator[av.VideoFrame]:
    for chunk in chunks:
        yield from decoder.decode(av.Packet(chunk))
    yield from decoder.decode(None)
