"""A counter of energy that the machine keeps itself."""

from collections.abc import Callable

PERIOD_S = 10.0  # the smallest range, 65 kJ, lasts a minute at 1 kW


class Counter:
    """`read` gives units of `unit_j` joules; past `most` units the counter begins at 0 again."""

    def __init__(self, name: str, read: Callable[[], int], unit_j: float, most: int = 0) -> None:
        self.name = name
        self.period_s = PERIOD_S
        self._read = read
        self._unit_j = unit_j
        self._most = most
        self._last = read()
        self._units = 0

    def joules(self) -> float:
        """What was taken since it was made."""
        now = self._read()
        self._units += now - self._last if now >= self._last else now + max(0, self._most - self._last)
        self._last = now
        return self._units * self._unit_j
