"""What a link between device and cloud offers, whatever carries it."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class Connection(Protocol):
    """Whole binary messages both ways, in order. `peer` names the other end in messages to the user."""

    @property
    def peer(self) -> str: ...

    def welcome(self) -> None:
        """The other end is one of ours: bounds that hold for strangers end."""

    async def send(self, data: bytes) -> None:
        """Hand over one message; LinkLost when the peer is gone. Returning says nothing of arrival."""

    async def receive(self) -> bytes:
        """The next message; LinkLost when the peer is gone, MessageTooLarge when it is over the limit."""

    async def close(self) -> None:
        """End the link; what both ends still wait for raises LinkLost. Closing twice is fine."""


Dial = Callable[[], Awaitable[Connection]]
