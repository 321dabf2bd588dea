"""RTP packets and RTCP sender reports of one stream to one client (RFC 3550)."""

import struct
from dataclasses import dataclass

PAYLOAD_TYPE = 96
CLOCK_HZ = 90_000
REPORT_S = 5.0

_VERSION = 0x80
_SENDER_REPORT, _DESCRIPTION, _CNAME = 200, 202, 1
_NTP_EPOCH_S = 2_208_988_800  # from 1900, where NTP begins, to 1970
_NAME = b"janus"


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A picture on its way to all clients: RTP payloads, time in ticks of 90 kHz (32 bits), Unix time."""

    payloads: tuple[bytes, ...]
    key: bool
    timestamp: int
    captured_at: float

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self.payloads))


@dataclass(frozen=True, slots=True)
class FramePackets:
    """What one frame becomes: a sender report where one is due, and its RTP packets."""

    report: bytes | None
    media: tuple[bytes, ...]


class RtpStream:
    """Numbers one client's packets without a gap, over every loop of the video."""

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.sequence = sequence
        self._ssrc = ssrc
        self._packets = 0
        self._octets = 0
        self._reported_at: float | None = None

    def packets(self, frame: LiveFrame) -> FramePackets:
        """The frame's packets; a report goes before the first frame and every REPORT_S after."""
        report = self._report(frame) if self._is_due(frame.captured_at) else None
        last = len(frame.payloads) - 1
        media = tuple(
            self._packet(payload, index == last, frame.timestamp)
            for index, payload in enumerate(frame.payloads)
        )
        return FramePackets(report, media)

    def _is_due(self, captured_at: float) -> bool:
        return self._reported_at is None or abs(captured_at - self._reported_at) >= REPORT_S

    def _packet(self, payload: bytes, marker: bool, timestamp: int) -> bytes:
        header = struct.pack(
            ">BBHII", _VERSION, marker << 7 | PAYLOAD_TYPE, self.sequence, timestamp, self._ssrc
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self._packets = (self._packets + 1) & 0xFFFFFFFF
        self._octets = (self._octets + len(payload)) & 0xFFFFFFFF
        return header + payload

    def _report(self, frame: LiveFrame) -> bytes:
        """Sender report and source description: which time of day the frame's timestamp stands for."""
        self._reported_at = frame.captured_at
        report = struct.pack(
            ">BBHIQIII",
            _VERSION,
            _SENDER_REPORT,
            6,
            self._ssrc,
            ntp_time(frame.captured_at),
            frame.timestamp,
            self._packets,
            self._octets,
        )
        item = struct.pack(">IBB", self._ssrc, _CNAME, len(_NAME)) + _NAME
        item += bytes(4 - len(item) % 4)
        return report + struct.pack(">BBH", _VERSION | 1, _DESCRIPTION, len(item) // 4) + item


def ntp_time(unix_s: float) -> int:
    """Unix seconds as NTP's 64 bits: seconds since 1900 and 2**-32 fractions."""
    whole = int(unix_s // 1)
    return ((whole + _NTP_EPOCH_S) & 0xFFFFFFFF) << 32 | int((unix_s - whole) * 2**32)
