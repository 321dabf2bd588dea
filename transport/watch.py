"""Who wants to know at once what happens on the link."""

from typing import Protocol


class LinkWatch(Protocol):
    """Hears of every message as it leaves and as it is acknowledged; never waits. Times are the clock's."""

    def link_up(self, rtt_s: float, now: float) -> None:
        """Connected, or connected again; `rtt_s` is the round trip of an empty message."""

    def link_down(self) -> None:
        """Nothing is under way any more."""

    def sent(self, key: str, num_bytes: int, now: float) -> None:
        """The message of clip or probe `key` has begun to leave."""

    def acknowledged(self, key: str, now: float) -> object:
        """The other end has the whole of it."""

    def round_trip(self, seconds: float, now: float) -> None:
        """An empty message went there and back."""


class NoWatch:
    """Nobody wants to know."""

    def link_up(self, rtt_s: float, now: float) -> None: ...

    def link_down(self) -> None: ...

    def sent(self, key: str, num_bytes: int, now: float) -> None: ...

    def acknowledged(self, key: str, now: float) -> object: ...

    def round_trip(self, seconds: float, now: float) -> None: ...
