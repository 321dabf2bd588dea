"""The cloud's end of websockets: `serve` listens, and lets in who shows what the cloud wants to see.

aiohttp fixes a connection's largest message when it is accepted, before anybody has said hello. What
strangers can make it hold is bounded by the front (transport/front.py), and what devices can by
`max_connections` times the largest message.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
from aiohttp import web
from yarl import URL

from pipeline.errors import JanusError
from transport.complaints import Complaints
from transport.connection import Connection
from transport.front import CLOSE_S, NEWCOMERS, REQUEST_S, Front
from transport.security import Entrance
from transport.websocket import HEARTBEAT_S, PATH, WebSocketConnection

logger = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": "Bearer"}
# Every browser says whose page it shows, and no device does: a page must not reach a cloud on loopback.
BROWSERS = ("Origin", "Sec-WebSocket-Protocol")

# What strangers send instead of HTTP is no news, and may be an attempt to fill the log.
_http = logging.getLogger(f"{__name__}.http")
_http.disabled = True

OPEN = Entrance()


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    scheme: str = "ws"

    @property
    def url(self) -> str:
        return str(URL.build(scheme=self.scheme, host=self.host, port=self.port, path=PATH))


class _Doorman:
    """Turns requests into connections, up to a number, and knows which are open."""

    def __init__(
        self,
        on_connection: Callable[[Connection], Awaitable[None]],
        front: Front,
        entrance: Entrance,
        complaints: Complaints,
        *,
        max_message_bytes: int,
        max_connections: int,
        heartbeat_s: float,
    ) -> None:
        self._on_connection = on_connection
        self._front = front
        self._entrance = entrance
        self._complaints = complaints
        self._max_message_bytes = max_message_bytes
        self._max_connections = max_connections
        self._heartbeat_s = heartbeat_s
        self._open: set[WebSocketConnection] = set()

    async def admit(self, request: web.Request) -> web.StreamResponse:
        """Serve the device behind `request` as long as it stays; turn away who may not come in."""
        peer, visitor = _peer(request), self._front.visitor(request.protocol)
        refusal = self._refusal(request)
        if refusal is not None or visitor is None:
            refusal = refusal or web.HTTPRequestTimeout()
            self._complaints.add(f"{peer}: turned away: {refusal.text}")
            refusal.force_close()
            raise refusal
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            compress=False,
            autoping=False,
            heartbeat=self._heartbeat_s,
            max_msg_size=self._max_message_bytes + 1,
            timeout=CLOSE_S,
        )
        welcome = partial(self._front.welcome, visitor)
        connection = WebSocketConnection(peer, socket, self._max_message_bytes, on_welcome=welcome)
        self._open.add(connection)
        try:
            await socket.prepare(request)
            visitor.asked.set()
            await self._serve(connection)
        finally:
            self._open.discard(connection)
            # What comes in while it closes starts its heartbeat again, and the timers would keep all that
            # belongs to the connection for 30 s; aiohttp has no public way to end them.
            socket._cancel_heartbeat()
            visitor.drop()  # who does not read would otherwise hold what is still to be written
        return socket

    async def close(self) -> None:
        """End all connections."""
        async with anyio.create_task_group() as group:
            for connection in self._open:
                group.start_soon(connection.close)

    async def _serve(self, connection: WebSocketConnection) -> None:
        try:
            await self._on_connection(connection)
        except JanusError as error:
            self._complaints.add(str(error))
        except Exception:
            logger.exception("%s: its session broke", connection.peer)
        await connection.close()

    def _refusal(self, request: web.Request) -> web.HTTPException | None:
        transport = request.transport
        if any(name in request.headers for name in BROWSERS):
            return web.HTTPBadRequest(text="no place for browsers")
        if self._entrance.wants_certificate and not (transport and transport.get_extra_info("peercert")):
            return web.HTTPForbidden(text="no certificate")
        if not self._entrance.tokens.accept(request.headers.get("Authorization")):
            shown = "a wrong token" if "Authorization" in request.headers else "no token"
            return web.HTTPUnauthorized(text=shown, headers=CHALLENGE)
        if len(self._open) >= self._max_connections:
            return web.HTTPServiceUnavailable(text="no room for another device")
        return None


def _peer(request: web.Request) -> str:
    name = request.transport.get_extra_info("peername") if request.transport else None
    return f"{name[0]}:{name[1]}" if name else "unknown"


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    on_connection: Callable[[Connection], Awaitable[None]],
    *,
    max_message_bytes: int,
    max_connections: int = 64,
    heartbeat_s: float = HEARTBEAT_S,
    entrance: Entrance = OPEN,
    newcomers: int = NEWCOMERS,
    request_s: float = REQUEST_S,
) -> AsyncIterator[Address]:
    """Listen for devices while the context lasts; yields the real address (port 0 takes a free one).

    `on_connection` runs once for each device that shows what `entrance` wants, in its own task, and the
    connection closes when it returns; until it calls the connection's `welcome`, the device is one of the
    `newcomers`. ConfigError when the address cannot be had.
    """
    complaints = Complaints(logger)
    front = Front(entrance.tls, complaints, newcomers=newcomers, request_s=request_s)
    doorman = _Doorman(
        on_connection,
        front,
        entrance,
        complaints,
        max_message_bytes=max_message_bytes,
        max_connections=max_connections,
        heartbeat_s=heartbeat_s,
    )
    app = web.Application()
    app.router.add_get(PATH, doorman.admit)
    runner = web.AppRunner(app, access_log=None, logger=_http, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        async with front.open(runner, host, port) as found:
            yield Address(host, found, "ws" if entrance.tls is None else "wss")
    finally:
        with anyio.CancelScope(shield=True):
            await doorman.close()
            await runner.cleanup()
