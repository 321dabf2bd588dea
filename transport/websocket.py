"""Links over websockets: `dial` on the device; transport/serving.py has the cloud's end."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from re import search
from types import SimpleNamespace
from typing import TypeAlias

import aiohttp
import anyio
import anyio.lowlevel
from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, LinkLost, MessageTooLarge, ProtocolError
from transport.connection import Connection
from transport.messages import REPLY_LIMIT_BYTES, Role
from transport.pacer import Pacer
from transport.refusals import FarEnd, explain
from transport.security import Credentials
from transport.security.tokens import authorization

PATH = "/janus"
HEARTBEAT_S = 20.0
OPEN_S = 5.0
CLOSE_S = 1.0
PINGS_PER_S = 10.0
PLAIN = Credentials()

_Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[bool] | web.WebSocketResponse[bool]"


class WebSocketConnection:
    """One end of a websocket; messages over `limit_bytes` are refused before they are read."""

    def __init__(
        self,
        peer: str,
        socket: _Socket,
        limit_bytes: int,
        session: aiohttp.ClientSession | None = None,
        on_welcome: Callable[[], None] | None = None,
    ) -> None:
        self.peer = peer
        self._socket = socket
        self._limit_bytes = limit_bytes
        self._session = session
        self._on_welcome = on_welcome
        self._pings = Pacer(PINGS_PER_S, SystemClock())

    def welcome(self) -> None:
        if self._on_welcome is not None:
            self._on_welcome()

    async def send(self, data: bytes) -> None:
        with self._losses():
            await self._socket.send_bytes(data)

    async def receive(self) -> bytes:
        while True:
            # What has come already is read without a pause: others want their turn between two messages.
            await anyio.lowlevel.checkpoint()
            with self._losses():
                message = await self._socket.receive()
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
            if message.type is WSMsgType.BINARY:
                return bytes(message.data)
            if message.type is WSMsgType.TEXT:
                raise ProtocolError(f"{self.peer}: sent text where a binary message belongs")
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                raise self._ended(message.type, message.data)
            await self._pings.wait()

    async def close(self) -> None:
        with anyio.move_on_after(CLOSE_S, shield=True), suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.close()
        if self._session is not None:
            with anyio.CancelScope(shield=True):
                await self._session.close()

    @contextmanager
    def _losses(self) -> Iterator[None]:
        """What aiohttp raises where the other end has gone."""
        try:
            yield
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise LinkLost(f"{self.peer}: {error or 'the connection is closed'}") from None

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


def cloud_url(text: str, role: Role = "cloud") -> URL:
    """The URL of a cloud or a peer, such as ws://cloud.example:8765; a path is added where there is none."""
    try:
        url = URL(text)
        host = (url.host or "").encode("idna")
        fits = url.scheme in ("ws", "wss") and bool(host) and b" " not in host and bool(url.port)
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(f"{role} URL {text[:80]!r} is not of the form ws://HOST:PORT")
    return url if url.path.strip("/") else url.with_path(PATH)


def peer_names(urls: Sequence[str]) -> list[str]:
    """What records and messages call the peers at `urls`: host and port, and the path where several share
    these. ConfigError for a URL that is none."""
    wheres = [cloud_url(url, "peer") for url in urls]
    names = [f"{where.host}:{where.port}" for where in wheres]
    shared = Counter(names)
    return [
        name if shared[name] == 1 else f"{name}{where.raw_path}"
        for name, where in zip(names, wheres, strict=True)
    ]


async def dial(
    url: str,
    *,
    role: Role = "cloud",
    name: str | None = None,
    credentials: Credentials = PLAIN,
    open_timeout_s: float = OPEN_S,
    heartbeat_s: float = HEARTBEAT_S,
    limit_bytes: int = REPLY_LIMIT_BYTES,
) -> Connection:
    """Open a connection to the cloud or peer at `url`, over which messages up to `limit_bytes` come in.

    ConfigError for a bad URL; HandshakeRefused by what is no Janus cloud, or by a certificate or token that
    does not fit; LinkLost when nobody listens or answers, or the cloud has no room. Each line begins with
    `name`, by default the address.
    """
    where = cloud_url(url, role)
    peer = name or f"{where.host}:{where.port}"
    far = FarEnd(where, peer, role)
    session = aiohttp.ClientSession(trace_configs=[_no_detours(far)])
    opened = False
    try:
        with anyio.fail_after(open_timeout_s):
            socket = await session.ws_connect(
                where,
                headers=None if credentials.token is None else authorization(credentials.token),
                ssl=credentials.tls or True,
                compress=0,
                autoping=False,
                heartbeat=heartbeat_s,
                # aiohttp refuses a message of exactly this size.
                max_msg_size=limit_bytes + 1,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        opened = True
    except TimeoutError:
        raise LinkLost(f"{peer}: connected, but no answer within {open_timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise await explain(far, credentials, error, open_timeout_s) from None
    finally:
        if not opened:
            await session.close()
    return WebSocketConnection(peer, socket, limit_bytes, session)


def _no_detours(far: FarEnd) -> aiohttp.TraceConfig:
    """A far end that sends a device elsewhere is none: what is shown to one is not for another."""

    async def refuse(
        session: aiohttp.ClientSession, context: SimpleNamespace, asked: aiohttp.TraceRequestRedirectParams
    ) -> None:
        raise far.answered(f"HTTP {asked.response.status}")

    detours = aiohttp.TraceConfig()
    detours.on_request_redirect.append(refuse)
    return detours
