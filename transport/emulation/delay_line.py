"""Bytes on their way: each chunk comes out in order, and not before its time."""

from collections import deque

import anyio

from pipeline.clock import Clock

CHUNK_COST_BYTES = 256


class DelayLine:
    """A queue of at most about `limit_bytes`, so that the delay takes nothing from the throughput.

    One task puts, one gets. Empty chunks are carried as well; every chunk counts CHUNK_COST_BYTES more
    than it has, for what keeping it takes.
    """

    def __init__(self, clock: Clock, limit_bytes: int) -> None:
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._changed = anyio.Event()

    async def put(self, data: bytes, release_s: float) -> None:
        """Send `data` off, to come out at `release_s`; waits while the line is full."""
        while self._held_bytes >= self._limit_bytes:
            await self._change()
        self._under_way.append((release_s, data))
        self._held_bytes += len(data) + CHUNK_COST_BYTES
        self._changed.set()

    async def get(self) -> bytes:
        """The next chunk, once its time has come."""
        while not self._under_way:
            await self._change()
        release_s, data = self._under_way[0]
        wait_s = release_s - self._clock.now()
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        self._under_way.popleft()
        self._held_bytes -= len(data) + CHUNK_COST_BYTES
        self._changed.set()
        return data

    async def _change(self) -> None:
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()
