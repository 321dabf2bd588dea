"""A small world for the tests of the transport: packets, a turned clock, and a cloud that echoes."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from pipeline.clock import SystemClock
from pipeline.errors import JanusError, LinkLost
from pipeline.items import Header, Packet
from transport.client import CloudClient, connect_cloud
from transport.connection import Connection
from transport.events import Acked, Answered, Event
from transport.memory import MemoryConnection, memory_link
from transport.messages import PROTOCOL, Hello, Result, Welcome
from transport.server import open_session

HELLO = Hello(protocol=PROTOCOL, model="vit", digest="1f2e", codecs=("int8", "jpeg"))
WELCOME = Welcome(
    protocol=PROTOCOL,
    model="vit",
    digest="1f2e",
    max_message_bytes=4096,
    max_in_flight=3,
    codecs=("int8", "float32", "jpeg"),
)


class TurnedClock(SystemClock):
    """Nobody waits: to sleep turns the clock."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def turn(self, seconds: float) -> None:
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.turn(seconds)
        await anyio.lowlevel.checkpoint()


def packet(number: int = 0, payload: bytes = b"payload", **changed: object) -> Packet:
    fields: dict[str, object] = {
        "clip_id": f"street/{number:06d}",
        "source": "street",
        "seq": number,
        "split": 4,
        "pruning": "exponential:0.05",
        "removed": (2, 1, 0),
        "codec": "int8",
        "shape": (3, 8),
        **changed,
    }
    return Packet(header=Header(**fields), payload=payload)  # type: ignore[arg-type]


def accept_all(header: Header, payload_bytes: int, sizes_bytes: int) -> None:
    """A check that finds nothing wrong."""


@dataclass
class EchoCloud:
    """Answers each clip with its payload as the class name; remembers what it saw."""

    group: TaskGroup
    welcome: Welcome = WELCOME
    up: bool = True
    links: list[MemoryConnection] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)

    async def dial(self) -> Connection:
        if not self.up:
            raise LinkLost("memory: nobody listens")
        near, far = memory_link(max_message_bytes=None)
        self.links.append(near)
        budget = self.cut_after.pop(0) if self.cut_after else None
        self.group.start_soon(self.serve, FragileConnection(far, budget))
        return near

    async def serve(self, connection: Connection) -> None:
        try:
            async with open_session(connection, self.welcome, accept_all) as session:
                async for item in session.packets():
                    self.seen.append(item.header.clip_id)
                    name = item.payload.decode()
                    await session.send_result(Result(clip_id=item.header.clip_id, classes=((name, 0, 1.0),)))
        except JanusError:
            return


class FragileConnection:
    """The far end of a memory link, which is cut after a number of sends and receives."""

    def __init__(self, inner: MemoryConnection, budget: int | None) -> None:
        self.peer = inner.peer
        self._inner = inner
        self._budget = budget

    def welcome(self) -> None:
        self._inner.welcome()

    async def send(self, data: bytes) -> None:
        self._spend()
        await self._inner.send(data)

    async def receive(self) -> bytes:
        data = await self._inner.receive()
        self._spend()
        return data

    async def close(self) -> None:
        await self._inner.close()

    def _spend(self) -> None:
        if self._budget is None:
            return
        self._budget -= 1
        if self._budget < 0:
            self._inner.cut()
            raise LinkLost("memory: cut")


@asynccontextmanager
async def connected(cloud: EchoCloud, **options: object) -> AsyncIterator[CloudClient]:
    """A client of `cloud` on a clock that nobody waits for."""
    settings = {"clock": TurnedClock(), "rng": random.Random(1), **options}
    async with connect_cloud(cloud.dial, HELLO, **settings) as client:  # type: ignore[arg-type]
        yield client


async def answers(client: CloudClient, count: int) -> list[Answered]:
    """The next `count` answers."""
    return [event async for event in _first(client, Answered, count)]


async def acks(client: CloudClient, count: int) -> list[Acked]:
    """The next `count` acknowledgements."""
    return [event async for event in _first(client, Acked, count)]


async def _first(client: CloudClient, kind: type[Event], count: int) -> AsyncIterator[Event]:
    async for event in client.events():
        if isinstance(event, kind):
            yield event
            count -= 1
        if count == 0:
            return
