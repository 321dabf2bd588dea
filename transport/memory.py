"""A link inside one process: two crossed memory streams, which a test can cut."""

from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipeline.errors import LinkLost, MessageTooLarge


@dataclass
class _Wire:
    """What both ends share: whether it still holds, and the most bytes a message may have."""

    max_message_bytes: int | None
    cut: bool = False


class MemoryConnection:
    """One end of a memory link."""

    def __init__(
        self,
        peer: str,
        wire: _Wire,
        outgoing: MemoryObjectSendStream[bytes],
        incoming: MemoryObjectReceiveStream[bytes],
        far_end: MemoryObjectSendStream[bytes],
    ) -> None:
        self.peer = peer
        self._wire = wire
        self._outgoing = outgoing
        self._incoming = incoming
        self._far_end = far_end

    def welcome(self) -> None:
        """Nobody at the other end of a memory link is a stranger."""

    async def send(self, data: bytes) -> None:
        try:
            await self._outgoing.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._lost() from None

    async def receive(self) -> bytes:
        try:
            data = await self._incoming.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise self._lost() from None
        if self._wire.cut:
            raise self._lost()
        limit = self._wire.max_message_bytes
        if limit is not None and len(data) > limit:
            await self.close()
            raise MessageTooLarge(f"from {self.peer}", len(data), limit)
        return data

    async def close(self) -> None:
        """Close in order: the peer still gets what was sent before."""
        self._outgoing.close()
        # Whoever waits to receive at this very end is woken by the end of its stream.
        self._far_end.close()
        self._incoming.close()

    def cut(self) -> None:
        """Lose the link as a pulled cable does: what was under way never arrives, at either end."""
        self._wire.cut = True
        self._outgoing.close()
        self._far_end.close()

    def _lost(self) -> LinkLost:
        return LinkLost(f"{self.peer}: the link was {'cut' if self._wire.cut else 'closed'}")


def memory_link(
    *, max_message_bytes: int | None = None, capacity: int = 64, names: tuple[str, str] = ("device", "cloud")
) -> tuple[MemoryConnection, MemoryConnection]:
    """The two ends of a link: what one sends the other receives.

    `capacity` messages wait in each direction before `send` does. A message over `max_message_bytes`
    raises MessageTooLarge where it is received and ends the link, as a websocket does.
    """
    wire = _Wire(max_message_bytes)
    up_in, up_out = anyio.create_memory_object_stream[bytes](capacity)
    down_in, down_out = anyio.create_memory_object_stream[bytes](capacity)
    device_end = MemoryConnection(names[1], wire, up_in, down_out, down_in)
    cloud_end = MemoryConnection(names[0], wire, down_in, up_out, up_in)
    return device_end, cloud_end
