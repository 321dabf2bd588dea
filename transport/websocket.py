"""Links over websockets: `dial` on the device, `serve` on the cloud.

aiohttp fixes a connection's largest message when it is accepted, before anybody has said hello. So the
server takes its full `max_message_bytes` from the start, and what strangers can make it hold is bounded
by `max_connections` times that, and by the time that a session gives them to say hello.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from re import search
from typing import TypeAlias

import aiohttp
import anyio
from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from pipeline.errors import (
    ConfigError,
    HandshakeRefused,
    JanusError,
    LinkLost,
    MessageTooLarge,
    ProtocolError,
)
from transport.connection import Connection
from transport.messages import REPLY_LIMIT_BYTES

logger = logging.getLogger(__name__)

PATH = "/janus"
HEARTBEAT_S = 20.0
OPEN_S = 5.0
CLOSE_S = 1.0
BUSY = 503

_Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[bool] | web.WebSocketResponse[bool]"


class WebSocketConnection:
    """One end of a websocket; messages over `limit_bytes` are refused before they are read."""

    def __init__(
        self, peer: str, socket: _Socket, limit_bytes: int, session: aiohttp.ClientSession | None = None
    ) -> None:
        self.peer = peer
        self._socket = socket
        self._limit_bytes = limit_bytes
        self._session = session

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise LinkLost(f"{self.peer}: {error or 'the connection is closed'}") from None

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.TEXT:
            raise ProtocolError(f"{self.peer}: sent text where a binary message belongs")
        raise self._ended(message.type, message.data)

    async def close(self) -> None:
        with anyio.move_on_after(CLOSE_S, shield=True), suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.close()
        if self._session is not None:
            with anyio.CancelScope(shield=True):
                await self._session.close()

    def _ended(self, kind: WSMsgType, data: object) -> LinkLost | ProtocolError:
        if isinstance(data, aiohttp.WebSocketError) and data.code == WSCloseCode.MESSAGE_TOO_BIG:
            found = search(r"size (\d+)", str(data))
            num_bytes = int(found[1]) if found else self._limit_bytes + 1
            return MessageTooLarge(f"from {self.peer}", num_bytes, self._limit_bytes)
        code = self._socket.close_code
        if code == WSCloseCode.MESSAGE_TOO_BIG:
            return ProtocolError(f"{self.peer}: refused our message as too large; choose a smaller codec")
        reason = str(data) if kind is WSMsgType.ERROR else f"close code {code}"
        return LinkLost(f"{self.peer}: the connection ended ({reason})")


def cloud_url(text: str) -> URL:
    """The URL of a cloud, such as ws://cloud.example:8765; the path is added where there is none."""
    try:
        url = URL(text)
        host = (url.host or "").encode("idna")
        fits = url.scheme in ("ws", "wss") and bool(host) and b" " not in host and bool(url.port)
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(f"cloud URL {text[:80]!r} is not of the form ws://HOST:PORT")
    return url if url.path.strip("/") else url.with_path(PATH)


async def dial(
    url: str,
    *,
    open_timeout_s: float = OPEN_S,
    heartbeat_s: float = HEARTBEAT_S,
    limit_bytes: int = REPLY_LIMIT_BYTES,
) -> Connection:
    """Open a connection to the cloud at `url`, over which messages up to `limit_bytes` come in.

    ConfigError for a bad URL, HandshakeRefused by what is no websocket server, LinkLost when nobody
    listens or answers, or the cloud has no room; each line names the address.
    """
    where = cloud_url(url)
    peer = f"{where.host}:{where.port}"
    session = aiohttp.ClientSession()
    opened = False
    try:
        with anyio.fail_after(open_timeout_s):
            socket = await session.ws_connect(
                where,
                compress=0,
                heartbeat=heartbeat_s,
                # aiohttp refuses a message of exactly this size.
                max_msg_size=limit_bytes + 1,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        opened = True
    except TimeoutError:
        raise LinkLost(f"{peer}: connected, but no answer within {open_timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _no_cloud(peer, error) from None
    finally:
        if not opened:
            await session.close()
    return WebSocketConnection(peer, socket, limit_bytes, session)


def _no_cloud(peer: str, error: Exception) -> LinkLost | HandshakeRefused:
    if isinstance(error, aiohttp.ClientConnectorError):
        return LinkLost(f"{peer}: cannot connect ({error.strerror or error.os_error}); is the cloud running?")
    if isinstance(error, aiohttp.WSServerHandshakeError) and error.status == BUSY:
        return LinkLost(f"{peer}: the cloud has no room for another device")
    if isinstance(error, aiohttp.ClientResponseError):
        found = f"HTTP {error.status}" if error.status >= 100 else "something that is not HTTP"
        return HandshakeRefused(f"{peer}: answered with {found}, so it is no Janus cloud; check the port")
    return LinkLost(f"{peer}: closed the connection before it was open ({type(error).__name__})")


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return str(URL.build(scheme="ws", host=self.host, port=self.port, path=PATH))


class _Doorman:
    """Turns requests into connections, up to a number, and knows which are open."""

    def __init__(
        self,
        on_connection: Callable[[Connection], Awaitable[None]],
        max_message_bytes: int,
        max_connections: int,
        heartbeat_s: float,
    ) -> None:
        self._on_connection = on_connection
        self._max_message_bytes = max_message_bytes
        self._max_connections = max_connections
        self._heartbeat_s = heartbeat_s
        self._open: set[WebSocketConnection] = set()

    async def admit(self, request: web.Request) -> web.StreamResponse:
        if len(self._open) >= self._max_connections:
            raise web.HTTPServiceUnavailable(text="no room for another device")
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            compress=False,
            heartbeat=self._heartbeat_s,
            max_msg_size=self._max_message_bytes + 1,
            timeout=CLOSE_S,
        )
        connection = WebSocketConnection(_peer(request), socket, self._max_message_bytes)
        self._open.add(connection)
        try:
            await socket.prepare(request)
            await self._on_connection(connection)
        except JanusError as error:
            logger.warning("%s", error)
        finally:
            self._open.discard(connection)
        await connection.close()
        return socket

    async def close(self) -> None:
        async with anyio.create_task_group() as group:
            for connection in self._open:
                group.start_soon(connection.close)


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
) -> AsyncIterator[Address]:
    """Listen for devices while the context lasts; yields the real address (port 0 takes a free one).

    `on_connection` runs once for each device, in its own task, and the connection closes when it
    returns. ConfigError when the address cannot be had.
    """
    doorman = _Doorman(on_connection, max_message_bytes, max_connections, heartbeat_s)
    app = web.Application()
    app.router.add_get(PATH, doorman.admit)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"cannot listen on {host}:{port}: {reason}; choose another port or host"
            ) from None
        yield Address(host, runner.addresses[0][1])
    finally:
        with anyio.CancelScope(shield=True):
            await doorman.close()
            await runner.cleanup()
