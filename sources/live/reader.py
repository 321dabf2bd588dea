"""One connection to a camera, from its first packet to its last, in the thread that opened it."""

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.clock import Clock
from pipeline.errors import StreamLost
from sources.convertible import why_not
from sources.live.capture_time import CaptureTime
from sources.live.opening import Opening
from sources.live.pacer import Pacer
from sources.live.states import SourceStates

# Streams of single pictures have no times; FFmpeg makes up 25 a second.
WITHOUT_TIMES = frozenset({"mpjpeg", "mjpeg"})
NEAR_END_S = 1.0
REFUSALS = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError, av.error.HTTPNotFoundError)
SILENCE = (av.error.ExitError, av.error.TimeoutError)
_PRFT = struct.Struct("<qi")


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A decoded picture: its time on the camera's clock, if it has one; `arrived_at` and `captured_at` on
    ours. `doubtful`: the camera says that it was captured when it cannot have been."""

    picture: av.VideoFrame
    pts_s: float | None
    arrived_at: float
    captured_at: float
    doubtful: bool = False


class Reader:
    """Reads one connection of the source `name`. `states` hears of every packet and of damaged pictures.

    Iterate `pictures()` in one thread only: it opens, reads and closes there, and ends at the first
    packet after `closing` was set, or at the end of a finite stream; otherwise it raises StreamLost.
    """

    def __init__(
        self, name: str, opening: Opening, clock: Clock, states: SourceStates, closing: threading.Event
    ) -> None:
        self._name = name
        self._opening = opening
        self._clock = clock
        self._states = states
        self._closing = closing

    def pictures(self) -> Iterator[LivePicture]:
        """Whole pictures, as they come or, for a stream that is fetched in pieces, as they are due."""
        try:
            with self._open() as container:
                yield from self._read(container)
        except av.error.FFmpegError as error:
            raise StreamLost(self._name, self._reason(error), isinstance(error, REFUSALS)) from error

    def _open(self) -> InputContainer:
        opening = self._opening
        return av.open(
            opening.url,
            "r",
            format=opening.format,
            options=dict(opening.options),
            metadata_errors="replace",
            timeout=(opening.open_s, opening.read_s),
        )

    def _read(self, container: InputContainer) -> Iterator[LivePicture]:
        if not container.streams.video:
            raise StreamLost(self._name, "holds no video stream")
        stream = container.streams.video[0]
        # Frame threads would hold a frame back for each thread; more of any costs the models their time.
        stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
        timed = container.format.name not in WITHOUT_TIMES
        times, pacer, last_s = CaptureTime(self._clock), Pacer(), None
        for packet in container.demux(stream):
            if self._closing.is_set():
                return
            if packet.size:
                self._states.packet(self._clock.now())
            _note_report(packet, times)
            for picture in self._decode(stream, packet):
                pts_s = picture.time if timed else None
                if self._opening.paced and timed:
                    self._closing.wait(pacer.wait_s(pts_s, self._clock.now()))
                now, last_s = self._clock.now(), pts_s
                yield LivePicture(picture, pts_s, now, times.at(pts_s, now), times.doubtful)
        if not (self._opening.finite and _at_end(container, last_s)):
            raise StreamLost(self._name, "the camera ended the stream")

    def _decode(self, stream: VideoStream, packet: "Packet[VideoStream]") -> list[av.VideoFrame]:
        try:
            pictures = stream.decode(packet)
        except av.error.FFmpegError:
            self._states.count("corrupt")
            return []
        whole = [picture for picture in pictures if not picture.is_corrupt]
        for reason in filter(None, map(why_not, whole)):
            raise StreamLost(self._name, reason)
        self._states.count("corrupt", len(pictures) - len(whole))
        return whole

    def _reason(self, error: av.error.FFmpegError) -> str:
        if isinstance(error, SILENCE):
            return (
                f"no answer within {self._opening.open_s:g} s, or nothing more for {self._opening.read_s:g} s"
            )
        return error.strerror or type(error).__name__


def _note_report(packet: "Packet[VideoStream]", times: CaptureTime) -> None:
    """Once the camera has sent a report, every packet says when it was captured, in Unix microseconds."""
    if packet.pts is None or not packet.has_sidedata("prft"):
        return
    unix_us, _ = _PRFT.unpack_from(bytes(packet.get_sidedata("prft")))
    times.note(float(packet.pts * packet.time_base), unix_us / 1e6)


def _at_end(container: InputContainer, last_s: float | None) -> bool:
    """Whether a stream of known length was read to its end."""
    if container.duration is None or last_s is None:
        return False
    start_s = (container.start_time or 0) / av.time_base
    return last_s + NEAR_END_S >= start_s + container.duration / av.time_base
