"""The listening socket, which a fault may close for a while."""

import asyncio
import logging
import socket
import ssl
from typing import TypeAlias

import anyio

from pipeline.clock import Clock
from pipeline.errors import ConfigError

logger = logging.getLogger(__name__)

WAITING = 16
HANDSHAKE_S = 10.0
AGAIN_S = 0.5

Arrival: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Listener:
    """Takes connections at one address; `next()` gives them, WAITING of them wait at most."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, clock: Clock) -> None:
        self.port = port
        self._host = host
        self._tls = tls
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._refused_until = clock.now()
        self._refusing = anyio.Event()
        self._arrive, self._arrived = anyio.create_memory_object_stream[Arrival](WAITING)

    async def open(self) -> None:
        """Listen; ConfigError for an address that cannot be had. Port 0 becomes the one that was free."""
        try:
            self._server = await self._listen()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"cannot listen on {self._host}:{self.port}: {reason}; choose another port or host"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def next(self) -> Arrival:
        """The connection that has waited longest."""
        return await self._arrived.receive()

    def refuse(self, seconds: float) -> None:
        """Close the listening socket for `seconds`; connections that are open live on."""
        self._refused_until = max(self._refused_until, self._clock.now() + seconds)
        self._close_server()
        self._refusing.set()

    async def keep(self) -> None:
        """Listen again whenever a refusal is over, until cancelled."""
        while True:
            await self._refusing.wait()
            while (left_s := self._refused_until - self._clock.now()) > 0:
                await self._clock.sleep(left_s)
            self._refusing = anyio.Event()
            await self._reopen()

    def close(self) -> None:
        """Listen no longer, and drop who waits."""
        self._close_server()
        self._arrive.close()
        while self._arrived.statistics().current_buffer_used:
            self._arrived.receive_nowait()[1].transport.abort()
        self._arrived.close()

    async def _reopen(self) -> None:
        while not self._refusing.is_set():
            try:
                self._server = await self._listen()
            except OSError as error:
                logger.warning("cannot listen on port %d again: %s", self.port, error.strerror)
                await self._clock.sleep(AGAIN_S)
            else:
                return

    async def _listen(self) -> asyncio.Server:
        """At the first address of the host: with port 0, each of several would get a port of its own."""
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self.port, type=socket.SOCK_STREAM)
        return await asyncio.start_server(
            self._accepted,
            str(found[0][4][0]),
            self.port,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
        )

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._arrive.send_nowait((reader, writer))
        except (anyio.WouldBlock, anyio.ClosedResourceError):
            writer.transport.abort()

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
