"""H.264 as it crosses the network: NAL units, and the RTP payloads that carry them (RFC 6184)."""

from collections.abc import Iterable
from dataclasses import dataclass

IDR, SPS, PPS = 5, 7, 8
PLAYED = frozenset({1, IDR, SPS, PPS})
FU_A = 28
PAYLOAD_BYTES = 1400 - 12

_START = b"\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """The NAL units of one picture; `key` where a decoder can begin, with its parameter sets in front."""

    units: tuple[bytes, ...]
    key: bool

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self.units))


def kind_of(unit: bytes) -> int:
    """The type of a NAL unit, 0 to 31."""
    return unit[0] & 0x1F


def split_units(stream: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream, without start codes and the zeros between."""
    units = (piece.rstrip(b"\x00") for piece in stream.split(_START)[1:])
    return [unit for unit in units if unit]


def encoded_frame(stream: bytes) -> EncodedFrame:
    """One picture of an Annex B stream; what only comments on it is left out."""
    units = tuple(unit for unit in split_units(stream) if kind_of(unit) in PLAYED)
    return EncodedFrame(units, any(kind_of(unit) == IDR for unit in units))


def parameter_sets(units: Iterable[bytes]) -> tuple[bytes, bytes]:
    """The first sequence and the first picture parameter set; StopIteration where one is missing."""
    units = tuple(units)
    return next(u for u in units if kind_of(u) == SPS), next(u for u in units if kind_of(u) == PPS)


def payloads(unit: bytes, most_bytes: int = PAYLOAD_BYTES) -> list[bytes]:
    """RTP payloads of at most `most_bytes`, 3 or more: the NAL unit itself, or its fragments (FU-A)."""
    if len(unit) <= most_bytes:
        return [unit]
    room = most_bytes - 2
    pieces = [unit[start : start + room] for start in range(1, len(unit), room)]
    indicator, kind, last = unit[0] & 0xE0 | FU_A, kind_of(unit), len(pieces) - 1
    return [
        bytes((indicator, (index == 0) << 7 | (index == last) << 6 | kind)) + piece
        for index, piece in enumerate(pieces)
    ]
