"""The front of a server: takes TCP connections, and gives strangers little time and little room.

An HTTP server waits for ever for the headers of a request, and counts nobody who has not sent them. Here a
connection is a newcomer from its first packet until its device has been welcomed.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
from aiohttp import web
from anyio.abc import TaskGroup

from pipeline.clock import SystemClock
from transport.complaints import Complaints
from transport.listeners import listen
from transport.newcomers import Newcomers
from transport.visits import Visits

NEWCOMERS = 32
REQUEST_S = 5.0
CLOSE_S = 1.0
AGAIN_S = 0.1
# A hello of 64 KiB, and the headers before it.
NEWCOMER_BYTES = 80 * 1024


class Visitor(asyncio.Protocol):
    """One connection; passes on to the HTTP server's `handler` what comes in, up to `NEWCOMER_BYTES`."""

    def __init__(
        self, handler: web.RequestHandler, sock: socket.socket, on_lost: "Callable[[Visitor], None]"
    ) -> None:
        self.handler = handler
        self.asked = anyio.Event()
        self._sock = sock
        self._on_lost = on_lost
        self._transport: asyncio.BaseTransport | None = None
        self._bytes_left = NEWCOMER_BYTES

    def welcome(self) -> None:
        """From now on the handler hears of everything by itself."""
        if self._transport is not None:
            self._transport.set_protocol(self.handler)

    def drop(self) -> None:
        """End the connection, whatever it is at and whoever else holds it."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self.drop()
        else:
            self.handler.data_received(data)

    def eof_received(self) -> None:
        self.handler.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost(self)
        self.asked.set()
        self.handler.connection_lost(error)

    def pause_writing(self) -> None:
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        self.handler.resume_writing()


class Front:
    """Brings connections to a server, over TLS if there is a context: at most `newcomers` at a time that have
    not been welcomed, each of which must have asked, or be gone, within `request_s`; `wanting` says of who
    is not what it lacked."""

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        complaints: Complaints,
        *,
        newcomers: int = NEWCOMERS,
        request_s: float = REQUEST_S,
        wanting: str = "asked for no websocket",
    ) -> None:
        self._tls = tls
        self._complaints = complaints
        self._request_s = request_s
        self._wanting = wanting
        self._newcomers = Newcomers[Visitor](newcomers)
        self._visits = Visits(SystemClock())
        self._visitors: dict[web.RequestHandler, Visitor] = {}

    @asynccontextmanager
    async def open(self, runner: web.AppRunner, host: str, port: int) -> AsyncIterator[int]:
        """Listen, and take connections for a runner that is set up, while the context lasts; yields the real
        port (0 takes a free one). ConfigError when the address cannot be had."""
        listeners = await listen(host, port)
        # Not a task group's: whoever serves may enter and leave other contexts in between.
        taking = asyncio.create_task(self._take(cast("web.Server", runner.server), listeners))
        try:
            yield listeners[0].getsockname()[1]
        finally:
            with anyio.CancelScope(shield=True):
                taking.cancel()
                await asyncio.wait([taking])
            for listener in listeners:
                listener.close()

    async def _take(self, server: web.Server, listeners: Sequence[socket.socket]) -> None:
        async with anyio.create_task_group() as group:
            for listener in listeners:
                group.start_soon(self._accept, server, listener, group)

    def visitor(self, handler: web.RequestHandler) -> Visitor | None:
        """Whose requests a handler has; None once the connection is lost."""
        return self._visitors.get(handler)

    def welcome(self, visitor: Visitor) -> None:
        """The bounds that hold for strangers end for this one."""
        self._forget(visitor)
        visitor.welcome()

    async def _accept(self, server: web.Server, listener: socket.socket, group: TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                self._complaints.add(f"cannot take another connection: {error.strerror}")
                await anyio.sleep(AGAIN_S)
                continue
            if self._visits.admit(address[0]):
                visitor = Visitor(server(), sock, self._forget)
                group.start_soon(self._meet, visitor, sock, address[0], f"{address[0]}:{address[1]}")
            else:
                sock.close()
                self._complaints.add(f"{address[0]}: connects too often")

    async def _meet(self, visitor: Visitor, sock: socket.socket, host: str, peer: str) -> None:
        self._visitors[visitor.handler] = visitor
        displaced = self._newcomers.arrive(visitor, host)
        if displaced is not None:
            displaced.drop()
        try:
            with anyio.fail_after(self._request_s):
                await self._connect(visitor, sock)
                await visitor.asked.wait()
            return
        except TimeoutError:
            self._complaints.add(f"{peer}: {self._wanting} within {self._request_s:g} s")
        except OSError as error:  # an SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
            self._complaints.add(f"{peer}: no TLS came about ({reason})")
        self._forget(visitor)
        visitor.drop()

    async def _connect(self, visitor: Visitor, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self._tls is None:
            await loop.connect_accepted_socket(lambda: visitor, sock)
        else:
            await loop.connect_accepted_socket(
                lambda: visitor,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=self._request_s,
                ssl_shutdown_timeout=CLOSE_S,
            )

    def _forget(self, visitor: Visitor) -> None:
        self._visitors.pop(visitor.handler, None)
        self._newcomers.leave(visitor)
