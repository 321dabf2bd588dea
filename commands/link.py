"""The link: relays TCP connections over an emulated link, until interrupted."""

import logging
import math
import re
from dataclasses import dataclass, replace
from functools import partial

import anyio

from commands.runtime import OK, interrupted, run_async
from commands.traces import read_trace
from pipeline.background import background
from pipeline.errors import ConfigError
from scheduling.traces import Trace, constant, generate_lte, outages
from transport.emulation import EmulatedLink, emulated_link

logger = logging.getLogger(__name__)

DEFAULT_RTT_MS = 30.0
MOST_RTT_MS = 60_000.0
LTE_SECONDS = 600.0
REPORT_EVERY_S = 5.0
_ADDRESS = re.compile(r"(\[(?P<literal>[0-9a-fA-F:.%]+)\]|(?P<host>[^:\s\[\]/]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What `link` was asked for; exactly one of trace, mbps and lte says how fast the link is."""

    listen: str
    to: str
    trace: str | None = None
    mbps: float | None = None
    lte: int | None = None
    rtt_ms: float | None = None
    down_mbps: float | None = None
    once: bool = False
    outage: str | None = None


def run(request: LinkRequest) -> int:
    """Listen and relay; exit status 0 after SIGINT or SIGTERM."""
    listen, to = parse_address(request.listen), parse_address(request.to)
    if to[1] == 0 or listen == to:
        raise ConfigError(f"--to {request.to}: must be another address than --listen, with a port above 0")
    return run_async(partial(_relay, request, shape_of(request), listen, to))


def shape_of(request: LinkRequest) -> Trace:
    """The link's rate and round trip over time.

    A round trip that was asked for holds instead of the trace's own. With `once` the link keeps the
    last value after the end; otherwise the trace begins again.
    """
    if [request.trace, request.mbps, request.lte].count(None) != 2:
        raise ConfigError("say how fast the link is, by exactly one of --trace, --mbps and --lte")
    _check(request)
    shape = _speed(request)
    if request.once and request.mbps is None:
        shape = replace(shape, looped=False)
    if request.outage is not None:
        shape = outages(shape, *parse_outage(request.outage))
    if request.rtt_ms is not None:
        shape = replace(shape, rtt_ms=None)
    return shape


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets."""
    found = _ADDRESS.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        raise ConfigError(f"address {text[:80]!r} is not of the form HOST:PORT")
    return found["literal"] or found["host"], int(found["port"])


def parse_outage(text: str) -> tuple[float, float]:
    """The period and the length, in seconds, of `EVERY:LENGTH`."""
    try:
        every_s, length_s = map(float, text.split(":"))
    except ValueError:
        raise ConfigError(f"outage {text[:80]!r} is not of the form EVERY:LENGTH, in seconds") from None
    return every_s, length_s


def _check(request: LinkRequest) -> None:
    if request.rtt_ms is not None and not 0 <= request.rtt_ms <= MOST_RTT_MS:
        raise ConfigError(f"--rtt-ms {request.rtt_ms:g}: choose 0 to {MOST_RTT_MS:g} ms")
    if request.down_mbps is not None and not request.down_mbps > 0:
        raise ConfigError(f"--down-mbps {request.down_mbps:g}: choose a rate above 0")


def _speed(request: LinkRequest) -> Trace:
    if request.trace is not None:
        return read_trace(request.trace)
    if request.mbps is not None:
        return constant(request.mbps)
    return generate_lte(request.lte or 0, LTE_SECONDS)


async def _relay(request: LinkRequest, shape: Trace, listen: tuple[str, int], to: tuple[str, int]) -> int:
    async with emulated_link(
        *listen,
        *to,
        shape,
        rtt_ms=DEFAULT_RTT_MS if request.rtt_ms is None else request.rtt_ms,
        down_mbps=math.inf if request.down_mbps is None else request.down_mbps,
    ) as link:
        where = f"[{link.host}]:{link.port}" if ":" in link.host else f"{link.host}:{link.port}"
        speed = f"{shape.name}, {shape.mean_mbps:.1f} Mbit/s in the mean"
        async with background(partial(_report, link)):
            await interrupted(f"janus link listening at {where}, leads to {request.to}: {speed}")
    return OK


async def _report(link: EmulatedLink) -> None:
    while logger.isEnabledFor(logging.INFO):
        await anyio.sleep(REPORT_EVERY_S)
        logger.info(
            "link %.2f Mbit/s, %d connections, %d bytes up, %d bytes down",
            link.mbps,
            link.connections,
            link.up_bytes,
            link.down_bytes,
        )
