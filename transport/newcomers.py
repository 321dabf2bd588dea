"""Who makes way when more strangers knock than there is room for."""

from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Generic, TypeVar

T = TypeVar("T")

NEIGHBOURS_BITS = 64


class Newcomers(Generic[T]):
    """Connections whose device has not been welcomed yet, `most` at a time.

    One too many displaces the oldest of the address that holds most places: a crowd from one address pushes
    out itself, and a device that speaks up at once is gone from here before its turn comes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._homes: dict[T, str] = {}

    def __len__(self) -> int:
        return len(self._homes)

    def arrive(self, who: T, host: str) -> T | None:
        """Take in `who`, from the address `host`; returns whom that displaces."""
        displaced = self._oldest_of_the_crowd() if len(self._homes) >= self._most else None
        if displaced is not None:
            del self._homes[displaced]
        self._homes[who] = home(host)
        return displaced

    def leave(self, who: T) -> None:
        """`who` has been welcomed, or is gone; once more is fine."""
        self._homes.pop(who, None)

    def _oldest_of_the_crowd(self) -> T:
        ((crowd, _),) = Counter(self._homes.values()).most_common(1)
        return next(who for who, where in self._homes.items() if where == crowd)


def home(host: str) -> str:
    """The address, or in IPv6 the network that one household has to itself."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    return host if address.version == 4 else str(ip_network((address, NEIGHBOURS_BITS), strict=False))
