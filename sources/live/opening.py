"""How to open one kind of live source."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sources.file import MAX_PIXELS
from sources.live.url import HTTP, RTSP, Address

# A stall is told before the connection's own timeout breaks it off.
STALL_OF_READ = 0.95


@dataclass(frozen=True, slots=True)
class Opening:
    """What FFmpeg is told. `open_s` and `read_s`: how long it may wait for the stream and for each packet.

    `paced`: comes in pieces, faster than it is to be seen. `finite`: may come to an end of its own.
    """

    url: str = field(repr=False)
    open_s: float
    read_s: float
    options: Mapping[str, str] = field(repr=False)
    format: str | None = None
    paced: bool = False
    finite: bool = False

    @property
    def stall_s(self) -> float:
        """After how long without a packet the source is stalled."""
        return self.read_s * STALL_OF_READ


def opening_of(address: Address) -> Opening:
    """How to open what is at `address`."""
    if address.scheme in RTSP:
        return _rtsp(address)
    return _http(address) if address.scheme in HTTP else _webcam(address)


def _rtsp(address: Address) -> Opening:
    open_s, read_s = 5.0, 2.0
    options = _common(read_s) | {
        "rtsp_transport": address.options["transport"],
        "protocol_whitelist": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto",
    }
    if address.options["transport"] == "udp":
        options["max_delay"] = "0"
    return Opening(address.url, open_s, read_s, options)


def _http(address: Address) -> Opening:
    """A playlist may wait as long as its longest piece, and must not lead to files of this machine."""
    open_s, read_s = 10.0, 15.0
    options = _common(read_s) | {"protocol_whitelist": "http,https,httpproxy,tcp,tls,crypto,data"}
    return Opening(address.url, open_s, read_s, options, paced=True, finite=True)


def _webcam(address: Address) -> Opening:
    options = {"max_pixels": str(MAX_PIXELS), "fpsprobesize": "0"}
    for ours, theirs in (("size", "video_size"), ("fps", "framerate")):
        if address.options.get(ours):
            options[theirs] = address.options[ours]
    return Opening(address.url, open_s=5.0, read_s=2.0, options=options, format="v4l2")


def _common(read_s: float) -> dict[str, str]:
    return {"max_pixels": str(MAX_PIXELS), "fpsprobesize": "0", "timeout": str(round(read_s * 1e6))}
