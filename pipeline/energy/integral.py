"""Energy of what shows only its power."""

from collections.abc import Callable

from pipeline.clock import Clock

PERIOD_S = 0.1


class Integral:
    """Looks at `watts` now and then, and takes the power between two looks for a straight line."""

    def __init__(self, name: str, watts: Callable[[], float], clock: Clock) -> None:
        self.name = name
        self.period_s = PERIOD_S
        self._read = watts
        self._clock = clock
        self._joules = 0.0
        self._watts, self._at_s = watts(), clock.now()

    def joules(self) -> float:
        """What was taken since it was made, by the trapezium rule."""
        watts, at_s = self._read(), self._clock.now()
        self._joules += (at_s - self._at_s) * (watts + self._watts) / 2
        self._watts, self._at_s = watts, at_s
        return self._joules
