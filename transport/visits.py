"""How often strangers of one address may knock."""

from collections import OrderedDict

from pipeline.clock import Clock
from transport.newcomers import home
from transport.pacer import Allowance

PER_S = 20.0
AT_ONCE = 128
MOST_HOMES = 4096


class Visits:
    """Counts the connections of each address: `at_once` without a pause, and `per_s` a second.

    Of more addresses than `most_homes` those are forgotten that have been here longest.
    """

    def __init__(
        self, clock: Clock, *, per_s: float = PER_S, at_once: int = AT_ONCE, most_homes: int = MOST_HOMES
    ) -> None:
        self._clock = clock
        self._per_s = per_s
        self._at_once = at_once
        self._most_homes = most_homes
        self._homes: OrderedDict[str, Allowance] = OrderedDict()

    def __len__(self) -> int:
        return len(self._homes)

    def admit(self, host: str) -> bool:
        """Whether another connection from the address `host` is not too many."""
        where = home(host)
        allowance = self._homes.get(where)
        if allowance is None:
            allowance = self._homes[where] = Allowance(self._per_s, self._at_once, self._at_once, self._clock)
            if len(self._homes) > self._most_homes:
                self._homes.popitem(last=False)
        return allowance.take()
