"""A TCP relay that is a slow link: what clients send crosses at the rate and delay of a shape."""

import asyncio
import logging
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio

from pipeline.background import background
from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigError
from transport.emulation.bucket import Shape, Steady
from transport.emulation.lane import Lane, Road

logger = logging.getLogger(__name__)

# The kernel doubles this. Left alone it would take megabytes off the sender that never saw the link.
BUFFER_BYTES = 32768
# Loopback's own segments are larger than these buffers, and each would wait for a timer.
SEGMENT_BYTES = 1460
CONNECT_S = 5.0
MAX_CONNECTIONS = 64
ACCEPT_AGAIN_S = 1.0

_Target: TypeAlias = tuple[socket.AddressFamily, Any]


class EmulatedLink:
    """A link that runs; made by `emulated_link`."""

    def __init__(
        self, listener: socket.socket, targets: list[_Target], to: str, up: Road, down: Road
    ) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.connections = 0
        self._listener = listener
        self._targets = targets
        self._to = to
        self._up = up
        self._down = down

    @property
    def mbps(self) -> float:
        """The uplink's rate of this moment, in Mbit/s."""
        return self._up.mbps

    @property
    def up_bytes(self) -> int:
        """What has left over the uplink so far."""
        return self._up.carried_bytes

    @property
    def down_bytes(self) -> int:
        """What has left over the downlink so far."""
        return self._down.carried_bytes

    async def serve(self) -> None:
        """Carry connections until cancelled; further ones wait while MAX_CONNECTIONS are open."""
        room = anyio.Semaphore(MAX_CONNECTIONS)
        async with anyio.create_task_group() as tasks:
            while True:
                await room.acquire()
                tasks.start_soon(self._carry, await self._accept(), room)

    async def _accept(self) -> socket.socket:
        while True:
            try:
                return (await asyncio.get_running_loop().sock_accept(self._listener))[0]
            except OSError as error:
                logger.warning("cannot accept a connection: %s", _reason(error))
                await anyio.sleep(ACCEPT_AGAIN_S)

    async def _carry(self, client: socket.socket, room: anyio.Semaphore) -> None:
        self.connections += 1
        try:
            with client, await self._dial() as server:
                _tune(client)
                await self._exchange(client, server)
        except OSError as error:
            logger.warning(
                "%s: cannot connect: %s; closed the client's end", self._to, error.strerror or error
            )
        finally:
            self.connections -= 1
            room.release()

    async def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """Both directions, until both have ended or one has broken."""
        try:
            _tune(client)
            async with anyio.create_task_group() as lanes:
                lanes.start_soon(Lane(client, server, self._up).run)
                lanes.start_soon(Lane(server, client, self._down).run)
        except* OSError as errors:
            logger.info("%s: a connection broke: %s", self._to, _reason(errors))

    async def _dial(self) -> socket.socket:
        """A connection to where the link leads; the last address's OSError when none takes it."""
        for target in self._targets[:-1]:
            try:
                return await _connect(target)
            except OSError:
                continue
        return await _connect(self._targets[-1])


@asynccontextmanager
async def emulated_link(
    listen_host: str,
    listen_port: int,
    to_host: str,
    to_port: int,
    shape: Shape,
    *,
    rtt_ms: float = 0.0,
    down_mbps: float = math.inf,
    clock: Clock | None = None,
) -> AsyncIterator[EmulatedLink]:
    """Relay what comes in at one address to another while the context lasts; port 0 takes a free one.

    The shape's time begins here. All connections share the uplink, in turns; each direction takes half
    of the shape's round trip, `rtt_ms` where it knows none. A rate of 0 holds everything and closes
    nothing. Opening a connection takes no time. ConfigError for an address that cannot be had.
    """
    clock = clock or SystemClock()
    targets = await _resolve(to_host, to_port)
    address = (await _resolve(listen_host, listen_port))[0]
    with _listen(address, listen_host, listen_port) as listener:
        up = Road(shape, shape, rtt_ms, clock)
        down = Road(Steady(down_mbps), shape, rtt_ms, clock)
        link = EmulatedLink(listener, targets, f"{to_host}:{to_port}", up, down)
        async with background(link.serve):
            yield link


async def _resolve(host: str, port: int) -> list[_Target]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{host}:{port}: {_reason(error)}; choose an address that exists") from None
    return [(family, address) for family, _, _, _, address in found]


def _listen(target: _Target, host: str, port: int) -> socket.socket:
    family, address = target
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        reason = _reason(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another port or host") from None
    return listener


async def _connect(target: _Target) -> socket.socket:
    family, address = target
    server = socket.socket(family, socket.SOCK_STREAM)
    connected = False
    try:
        server.setblocking(False)
        _tune(server)
        with anyio.fail_after(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(server, address)
        connected = True
    finally:
        if not connected:
            server.close()
    return server


def _tune(end: socket.socket) -> None:
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return getattr(error, "strerror", None) or str(error) or "no answer"
