"""Codecs by name: how an array becomes the payload of a clip, and back."""

from collections.abc import Callable
from functools import lru_cache

from pipeline.errors import ConfigError
from transport.codecs.codec import Codec, ErrorBound, Kind, most_bytes
from transport.codecs.entropy import PACKINGS
from transport.codecs.pixels import ImageCodec, Jpeg, Png, Raw
from transport.codecs.tokens import LAYOUTS, TokenCodec
from transport.codecs.video import H264

__all__ = ["Codec", "ErrorBound", "Kind", "codec_names", "family", "get_codec", "is_brief", "most_bytes"]

COPIES = frozenset({"float32", "raw"})
MOST_BRIEF_BYTES = 1 << 20

_PLAIN: tuple[Codec, ...] = (
    *(TokenCodec(layout, packing) for layout in LAYOUTS for packing in PACKINGS),
    *(Raw(packing) for packing in PACKINGS),
    ImageCodec(Png()),
)
_FIXED: dict[str, Codec] = {codec.name: codec for codec in _PLAIN}
_WITH_NUMBER: dict[str, tuple[Callable[[int], Codec], int, range]] = {
    "jpeg": (lambda quality: ImageCodec(Jpeg(quality)), 90, range(1, 101)),
    "h264": (H264, 23, range(52)),
}


def codec_names() -> tuple[str, ...]:
    """Every codec's family: what two ends agree on in the handshake."""
    return (*_FIXED, *_WITH_NUMBER)


def family(spec: str) -> str:
    """The spec without its number: "jpeg" for "jpeg:80"."""
    return spec.partition(":")[0]


def is_brief(spec: str, num_bytes: int) -> bool:
    """Whether this codec only copies, and so few bytes that the way to a thread would take longer."""
    return spec in COPIES and num_bytes <= MOST_BRIEF_BYTES


@lru_cache(maxsize=256)
def get_codec(spec: str) -> Codec:
    """The codec of a spec such as "int8+zstd", "jpeg" or "h264:23"; ConfigError for any other."""
    name, colon, number = spec.partition(":")
    if name in _FIXED and not colon:
        return _FIXED[name]
    if name not in _WITH_NUMBER:
        known = ", ".join(codec_names())
        raise ConfigError(f"codec {spec[:80]!r} is unknown; there is {known} (jpeg:QUALITY, h264:CRF)")
    make, default, numbers = _WITH_NUMBER[name]
    return make(_number(spec, number, numbers) if colon else default)


def _number(spec: str, text: str, numbers: range) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
    if value not in numbers:
        raise ConfigError(f"codec {spec[:80]!r}: the number must lie in {numbers[0]}..{numbers[-1]}")
    return value
