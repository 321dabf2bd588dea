"""Frames of a video file."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.clock import Clock
from pipeline.errors import SourceError
from pipeline.items import Frame
from sources.base import FALLBACK_RATE, FrameGeometry
from sources.convertible import why_not
from sources.geometry import to_square
from sources.pictures import Pictures
from sources.timeline import Timeline

MAX_PIXELS = 8192 * 8192
MAX_RATE = 1000.0
# FFmpeg reads any text as pictures of a terminal.
NOT_VIDEO = frozenset({"tty"})


class FileSource:
    """A video file, decoded packet by packet in one thread of its own; a picture is a video of one frame.

    `path` is named in every error; `content` is what it holds where that is not on disk. A packet that
    does not decode is passed over; `frames()` then yields all that does decode and raises one
    SourceError at the end.
    """

    def __init__(
        self, path: Path, name: str, geometry: FrameGeometry, clock: Clock, content: bytes | None = None
    ) -> None:
        self.name = name
        self.rate: float | None = None
        self._path = path
        self._geometry = geometry
        self._clock = clock
        self._content = content
        self._closing = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """All frames in order of presentation; raises SourceError for what cannot be read."""
        with self._open() as container:
            stream = self._video_stream(container)
            self.rate = _rate(stream)
            timeline = Timeline(self.rate)
            # AVI has no presentation times, and FFmpeg's guesses are disordered where there are B-frames.
            use_dts = container.format.name == "avi"
            for index, picture in enumerate(self._decode(container, stream)):
                captured_at = self._clock.now()
                pts_s = timeline.place(_seconds(picture, picture.dts if use_dts else picture.pts))
                yield Frame(self.name, index, pts_s, captured_at, to_square(picture, self._geometry))

    def pictures(self) -> Iterator[av.VideoFrame]:
        """What `frames()` gives, as decoded and neither cropped nor converted; the same errors."""
        with self._open() as container:
            stream = self._video_stream(container)
            self.rate = _rate(stream)
            yield from self._decode(container, stream)

    def count_packets(self) -> int:
        """Number of pictures by the packets that hold one, without decoding: seldom wrong, yet no promise."""
        with self._open() as container:
            packets = container.demux(self._video_stream(container))
            try:
                return sum(packet.size > 0 and not packet.is_discard for packet in packets)
            except av.error.FFmpegError as error:
                raise self._error(f"cannot be read to its end ({error.strerror})") from error

    def close(self) -> None:
        """Ask the reading thread to end at its next packet; only that thread may touch the container."""
        self._closing.set()

    def _open(self) -> InputContainer:
        if self._content is None and not self._path.exists():
            raise self._error("no such file")
        if self._size() == 0:
            raise self._error("the file is empty")
        where = f"file:{self._path}" if self._content is None else io.BytesIO(self._content)
        try:
            return av.open(where, "r", options={"max_pixels": str(MAX_PIXELS)})
        except av.error.FFmpegError as error:
            raise self._error(f"not a video that can be read ({error.strerror})") from error

    def _size(self) -> int | None:
        """Bytes of the video; None where it is no regular file."""
        if self._content is not None:
            return len(self._content)
        return self._path.stat().st_size if self._path.is_file() else None

    def _video_stream(self, container: InputContainer) -> VideoStream:
        if container.format.name in NOT_VIDEO or not container.streams.video:
            raise self._error("holds no video stream")
        stream = container.streams.video[0]
        size = (stream.codec_context.width, stream.codec_context.height) if stream.codec_context else (0, 0)
        if min(size) < 1:
            raise self._error(f"its pictures are damaged, of an unknown kind, or over {MAX_PIXELS} pixels")
        if size[0] * size[1] > MAX_PIXELS:
            raise self._error(f"pictures of {size[0]} x {size[1]} are over the limit of {MAX_PIXELS} pixels")
        # A second decoding thread costs more processor time for each clip, and the models want it.
        stream.codec_context.thread_count = 1
        return stream

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        pictures = Pictures(container, stream, self._closing)
        for picture in pictures:
            if (reason := why_not(picture)) is not None:
                raise self._error(reason)
            yield picture
        if not self._closing.is_set():
            self._check_end(pictures, stream)

    def _check_end(self, pictures: Pictures, stream: VideoStream) -> None:
        if pictures.broken:
            raise self._error(f"{pictures.damage}; {pictures.decoded} frames were read")
        if _cut_short(stream, self._size()):
            raise self._error(f"the file is cut short; {pictures.decoded} frames were read")
        if pictures.decoded == 0:
            raise self._error("holds no frame that can be decoded")

    def _error(self, what: str) -> SourceError:
        return SourceError(self.name, f"{self._path}: {what}")


def estimate_frames(path: Path) -> int | None:
    """Number of frames as the container's header has it; None where it does not say or cannot be read."""
    try:
        with av.open(f"file:{path}") as container:
            if not container.streams.video:
                return None
            stream = container.streams.video[0]
            if stream.frames:
                return stream.frames
            if container.duration is None:
                return None
            return max(1, round(container.duration / av.time_base * _rate(stream)))
    except av.error.FFmpegError:
        return None


def _seconds(picture: av.VideoFrame, stamp: int | None) -> float | None:
    return None if stamp is None or picture.time_base is None else float(stamp * picture.time_base)


def _rate(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= MAX_RATE:
            return float(rate)
    return FALLBACK_RATE


def _cut_short(stream: VideoStream, num_bytes: int | None) -> bool:
    """Whether the index knows of packets behind the end of the file: FFmpeg ends there without a word."""
    index = stream.index_entries
    if not len(index) or num_bytes is None:
        return False
    last = index[len(index) - 1]
    return last.pos + last.size > num_bytes
