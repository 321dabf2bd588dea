"""What decodes of a video stream, and a count of what does not."""

import threading
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream


class Pictures:
    """Iterates over a stream's pictures, packet by packet, passing over packets that do not decode.

    Ends at the end of the container, after an error of the container, or at the first packet after
    `closing` was set. Then `packets`, `decoded` and `broken` hold the counts.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, closing: threading.Event) -> None:
        self.packets = 0
        self.decoded = 0
        self.broken = 0
        self._container = container
        self._stream = stream
        self._closing = closing
        self._first_damage = ""

    @property
    def damage(self) -> str:
        """What could not be decoded, where it began and why."""
        return f"{self.broken} of {self.packets} packets cannot be decoded, the first {self._first_damage}"

    def __iter__(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while not self._closing.is_set():
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._note(error)
                yield from self._decode(None)
                return
            if packet is None:
                return
            yield from self._decode(packet)

    def _decode(self, packet: "Packet[VideoStream] | None") -> list[av.VideoFrame]:
        self.packets += packet is None or packet.size > 0
        try:
            pictures = self._stream.decode(packet)
        except av.error.FFmpegError as error:
            self._note(error)
            return []
        self.decoded += len(pictures)
        return pictures

    def _note(self, error: av.error.FFmpegError) -> None:
        if self.broken == 0:
            self._first_damage = f"after {self.decoded} frames ({error.strerror})"
        self.broken += 1
