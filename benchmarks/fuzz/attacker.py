"""One attacker: its own process, which sends damaged messages over many connections at once."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgpack
from pydantic import SecretStr

from benchmarks.fuzz.mutations import Mutator
from pipeline.errors import JanusError, LinkLost
from transport.connection import Connection
from transport.messages import REPLY_LIMIT_BYTES, decode
from transport.security.tokens import authorization
from transport.websocket import WebSocketConnection, cloud_url

AT_ONCE = 6
ANSWER_S = 30.0
GLANCE_S = 0.02
# Of a hundred messages so many are said before a welcome, to the HTTP server, or nothing at all.
BEFORE_WELCOME, TO_HTTP, NOTHING = 10, 8, 2
REQUEST = (
    b"GET /janus HTTP/1.1\r\nHost: cloud\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Authorization: Bearer x\r\n\r\n"
)


class Attacker:
    """Sends `count` messages, `per_s` a second, and notes what comes back."""

    def __init__(
        self, url: str, token: str, corpus: list[bytes], count: int, per_s: float, seed: int
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url = url
        self._token = SecretStr(token)
        self._hello = corpus[0]
        self._mutator = Mutator(corpus, seed)
        self._rng = random.Random(seed)
        self._numbers: Iterator[int] = iter(range(count))
        self._per_s = per_s
        self._began = 0.0

    async def run(self) -> None:
        """Attack, over several connections at once."""
        self._began = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(self._attack)

    async def _attack(self) -> None:
        session: Connection | None = None
        for number in self._numbers:
            await anyio.sleep(max(0.0, self._began + number / self._per_s - time.monotonic()))
            kind = self._rng.randrange(100)
            if kind < BEFORE_WELCOME:
                await self._say_first(self._mutator.next(first=True))
            elif kind < BEFORE_WELCOME + TO_HTTP:
                await self._say_to_http(self._damaged_request())
            elif kind < BEFORE_WELCOME + TO_HTTP + NOTHING:
                await self._say_to_http(b"")
            else:
                session = await self._say_within(session, self._mutator.next())
        if session is not None:
            await session.close()

    async def _say_first(self, data: bytes) -> None:
        with suppress(JanusError):
            connection = await self._dial()
            await self._exchange(connection, data, "first")
            await connection.close()

    async def _say_within(self, session: Connection | None, data: bytes) -> Connection | None:
        """Over a link that is welcome; returns it as long as it holds."""
        try:
            if session is None:
                session = await self._dial()
                await session.send(self._hello)
                if self._name(await session.receive()) != "welcome":
                    self.outcomes["no room"] += 1
                    await session.close()
                    return None
        except LinkLost:
            self.outcomes["no room"] += 1
            return None
        if await self._exchange(session, data, "within"):
            return session
        await session.close()
        return None

    async def _exchange(self, connection: Connection, data: bytes, when: str) -> bool:
        """Send, and wait for the answer; whether the link still holds."""
        try:
            with anyio.fail_after(ANSWER_S):
                await connection.send(data)
                name = self._name(await connection.receive())
                if name == "ack":
                    await connection.receive()
        except TimeoutError:
            self.outcomes[f"{when}: NO ANSWER"] += 1
            return False
        except JanusError:
            name = "closed"
        self.outcomes[f"{when}: {name}"] += 1
        return name not in ("closed", "bye")

    async def _dial(self) -> Connection:
        """From an address of its own, as the members of a crowd have one: LinkLost when that fails."""
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=self._own_address()))
        try:
            with anyio.fail_after(ANSWER_S):
                socket = await session.ws_connect(
                    cloud_url(self._url), headers=authorization(self._token), autoping=False, compress=0
                )
        except (aiohttp.ClientError, OSError) as error:
            await session.close()
            raise LinkLost(str(error)) from None
        return WebSocketConnection("cloud", socket, REPLY_LIMIT_BYTES, session)

    def _own_address(self) -> tuple[str, int]:
        return (
            f"127.{self._rng.randrange(1, 255)}.{self._rng.randrange(256)}.{self._rng.randrange(1, 255)}",
            0,
        )

    def _name(self, answer: bytes) -> str:
        return decode(answer, REPLY_LIMIT_BYTES).type

    async def _say_to_http(self, data: bytes) -> None:
        where = urlsplit(self._url)
        try:
            reader, writer = await asyncio.open_connection(
                where.hostname, where.port, local_addr=self._own_address()
            )
        except OSError:
            self.outcomes["http: not taken"] += 1
            return
        writer.write(data)
        answer = b""
        with anyio.move_on_after(GLANCE_S), suppress(OSError):
            answer = await reader.read(64)
        status = answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/") else "nothing"
        self.outcomes[f"http: {status}"] += 1
        writer.transport.abort()

    def _damaged_request(self) -> bytes:
        request, rng = bytearray(REQUEST), self._rng
        for _ in range(rng.randint(0, 6)):
            request[rng.randrange(len(request))] = rng.randrange(256)
        return bytes(
            request[: rng.randint(1, len(request))] if rng.random() < 0.3 else request
        ) + rng.randbytes(rng.choice((0, 0, 10, 1000, 200_000)))


def attack(url: str, token: str, corpus: Path, count: int, per_s: float, seed: int) -> None:
    """Print what came of it as JSON."""
    messages: list[bytes] = msgpack.unpackb(corpus.read_bytes())
    attacker = Attacker(url, token, messages, count, per_s, seed)
    asyncio.run(attacker.run())
    print(json.dumps({"outcomes": attacker.outcomes}), flush=True)
