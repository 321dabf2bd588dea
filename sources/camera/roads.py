"""How packets reach a client: within the RTSP connection, or as UDP datagrams."""

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.clock import Clock
from sources.camera.rtp import FramePackets

MOST_OFFERS = 8
BIND_TRIES = 50
# A key frame at once would overflow a client's receive buffer.
BURST_PACKETS, BURST_S = 16, 0.001
RECEIVED_AT_ONCE = 16

_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Offer:
    """One transport that a client offers: two UDP ports, or two channels of the connection, RTP first."""

    udp: bool
    pair: tuple[int, int]


class Road(Protocol):
    """`header` is the Transport that the client is told; `send` waits while the client takes no more."""

    @property
    def header(self) -> str: ...

    async def send(self, packets: FramePackets) -> None: ...

    def close(self) -> None: ...


def parse_offers(header: str) -> list[Offer]:
    """What a Transport header offers that could be served, in the client's order."""
    offers = (_offer(text) for text in header.split(",")[:MOST_OFFERS])
    return [offer for offer in offers if offer is not None]


def _offer(text: str) -> Offer | None:
    profile, *rest = text.strip().split(";")
    udp = profile.upper() in ("RTP/AVP", "RTP/AVP/UDP")
    if "multicast" in rest or not (udp or profile.upper() == "RTP/AVP/TCP"):
        return None
    parameters = dict(part.strip().split("=", 1) for part in rest if "=" in part)
    found = _PAIR.fullmatch(parameters.get("client_port" if udp else "interleaved", "" if udp else "0-1"))
    if found is None:
        return None
    pair = int(found[1]), int(found[2] or int(found[1]) + 1)
    fits = min(pair) > 0 and max(pair) <= 65535 if udp else max(pair) <= 255 and pair[0] != pair[1]
    return Offer(udp, pair) if fits else None


class Interleaving:
    """Packets between the responses of the RTSP connection."""

    def __init__(self, writer: asyncio.StreamWriter, channels: tuple[int, int]) -> None:
        self.header = f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"
        self._writer = writer
        self._media, self._reports = channels

    async def send(self, packets: FramePackets) -> None:
        """Write one frame whole; waits while the connection is full."""
        reports = () if packets.report is None else (_framed(self._reports, packets.report),)
        media = (_framed(self._media, packet) for packet in packets.media)
        self._writer.write(b"".join((*reports, *media)))
        await self._writer.drain()

    def close(self) -> None:
        """Nothing is held."""


class Datagrams:
    """Packets to two ports of the client's host, from two of this one's.

    What the kernel has no room for is lost, as on any network. `heard` is called for every RTCP
    datagram that comes from the client's host. OSError where no two ports are free.
    """

    def __init__(
        self, here: Any, there: Any, ports: tuple[int, int], clock: Clock, heard: Callable[[], None]
    ) -> None:
        self._media, self._reports = _bind_pair(here)
        self._targets = [(there[0], port, *there[2:]) for port in ports]
        self._clock = clock
        self._heard = heard
        own = [end.getsockname()[1] for end in (self._media, self._reports)]
        self.header = f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};server_port={own[0]}-{own[1]}"
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reports, self._receive)

    async def send(self, packets: FramePackets) -> None:
        """Send one frame, a large one in bursts."""
        if packets.report is not None:
            _send(self._reports, packets.report, self._targets[1])
        for index, packet in enumerate(packets.media, 1):
            _send(self._media, packet, self._targets[0])
            if index % BURST_PACKETS == 0:
                await self._clock.sleep(BURST_S)

    def close(self) -> None:
        self._loop.remove_reader(self._reports)
        self._media.close()
        self._reports.close()

    def _receive(self) -> None:
        with suppress(OSError):
            for _ in range(RECEIVED_AT_ONCE):
                if self._reports.recvfrom(2048)[1][0] == self._targets[1][0]:
                    self._heard()


def _framed(channel: int, packet: bytes) -> bytes:
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


def _send(end: socket.socket, packet: bytes, target: Any) -> None:
    with suppress(OSError):
        end.sendto(packet, target)


def _bind_pair(here: Any) -> tuple[socket.socket, socket.socket]:
    """Two sockets on neighbouring ports, the even one first (RFC 3550)."""
    for _ in range(BIND_TRIES):
        first = _bound(here, 0)
        port = first.getsockname()[1]
        if port % 2 == 0:
            with suppress(OSError):
                return first, _bound(here, port + 1)
        first.close()
    raise OSError("no two neighbouring UDP ports are free")


def _bound(here: Any, port: int) -> socket.socket:
    end = socket.socket(socket.AF_INET6 if ":" in here[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        end.setblocking(False)
        end.bind((here[0], port, *here[2:]))
    except OSError:
        end.close()
        raise
    return end
