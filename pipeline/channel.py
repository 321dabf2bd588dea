"""A bounded channel between two stages, with a rule for what happens when it is full."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectStreamStatistics

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full channel does with one item more."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"


class Channel(Generic[T]):
    """An anyio memory object stream on which at most `capacity` items wait.

    When it is full, `block` makes the sender wait (replay), and `drop_oldest` gives the item that
    waited longest back to the sender and takes the new one (live). Iterating reads it to its end.
    """

    def __init__(self, name: str, capacity: int, overflow: Overflow = Overflow.BLOCK) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name}: capacity must be at least 1")
        self.name = name
        self._overflow = overflow
        self._sender, self._receiver = anyio.create_memory_object_stream[T](capacity)

    async def send(self, item: T) -> T | None:
        """Put `item` in; returns the item that had to leave for it, if one had to."""
        if self._overflow is Overflow.BLOCK:
            await self._send_or_wait(item)
            return None
        await anyio.lowlevel.checkpoint()
        try:
            self._sender.send_nowait(item)
        except anyio.WouldBlock:
            oldest = self._receiver.receive_nowait()
            self._sender.send_nowait(item)
            return oldest
        return None

    async def _send_or_wait(self, item: T) -> None:
        # Where there is room, a turn of the loop would only delay the item. Who sends on and on still
        # gives way, because the room runs out.
        try:
            self._sender.send_nowait(item)
        except anyio.WouldBlock:
            await self._sender.send(item)

    def __aiter__(self) -> AsyncIterator[T]:
        return self._receiver

    def waiting(self, at_most: int) -> list[T]:
        """Take out, without waiting, up to `at_most` items that are there already."""
        taken: list[T] = []
        while len(taken) < at_most:
            try:
                taken.append(self._receiver.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return taken

    def close(self) -> None:
        """Nothing more will be sent; the reader ends after what still waits."""
        self._sender.close()

    def statistics(self) -> MemoryObjectStreamStatistics:
        """How full the channel is, and who waits at either end."""
        return self._sender.statistics()
