"""One direction of one connection: read, wait for the link, travel, write."""

import asyncio
import socket

import anyio

from pipeline.clock import Clock
from transport.emulation.bucket import BITS_PER_MEGABIT, Shape, TokenBucket
from transport.emulation.delay_line import DelayLine

GRAIN_S = 0.004
LEAST_BYTES, MOST_BYTES = 1460, 65536
WAITING_CHUNKS = 8
UNDER_WAY_BYTES = 4 << 20


class Road:
    """What all connections share in one direction: the rate, in turns, and the delay."""

    def __init__(self, shape: Shape, delays: Shape, rtt_ms: float, clock: Clock) -> None:
        self.clock = clock
        self.carried_bytes = 0
        self._began_s = clock.now()
        self._shape = shape
        self._delays = delays
        self._rtt_ms = rtt_ms
        self._bucket = TokenBucket(shape, self._began_s)
        self._turn = anyio.Lock()

    @property
    def mbps(self) -> float:
        """The rate of this moment, in Mbit/s."""
        return self._shape.mbps_at(self.clock.now() - self._began_s)

    @property
    def grain_bytes(self) -> int:
        """How much to move at once: a few milliseconds' worth."""
        wish = min(self.mbps, BITS_PER_MEGABIT) * BITS_PER_MEGABIT / 8 * GRAIN_S
        return round(min(max(wish, LEAST_BYTES), MOST_BYTES))

    async def pass_through(self, num_bytes: int, arrived_s: float) -> float:
        """Wait until a chunk that came at `arrived_s` has left; returns when it comes out at the far end."""
        async with self._turn:
            try:
                while wait_s := self._bucket.take(num_bytes, arrived_s, self.clock.now()):
                    await self.clock.sleep(wait_s)
            finally:
                self._bucket.give_up()
            left_s = self._bucket.left_s
        self.carried_bytes += num_bytes
        return left_s + self._delays.rtt_ms_at(left_s - self._began_s, self._rtt_ms) / 2e3


class Lane:
    """Carries what `source` sends to `target` over `road`, and its end as well."""

    def __init__(self, source: socket.socket, target: socket.socket, road: Road) -> None:
        self._source = source
        self._target = target
        self._road = road
        self._line = DelayLine(road.clock, UNDER_WAY_BYTES)
        self._arrive, self._arrived = anyio.create_memory_object_stream[tuple[float, bytes]](WAITING_CHUNKS)

    async def run(self) -> None:
        """Until the source has ended and all that it sent was written; OSError when a socket breaks."""
        with self._arrive, self._arrived:
            async with anyio.create_task_group() as tasks:
                for work in (self._read, self._pass, self._write):
                    tasks.start_soon(work)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        data = b"?"
        while data:
            data = await loop.sock_recv(self._source, self._road.grain_bytes)
            await self._arrive.send((self._road.clock.now(), data))

    async def _pass(self) -> None:
        data = b"?"
        while data:
            arrived_s, data = await self._arrived.receive()
            await self._line.put(data, await self._road.pass_through(len(data), arrived_s))

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await self._line.get():
            await loop.sock_sendall(self._target, data)
        self._target.shutdown(socket.SHUT_WR)
