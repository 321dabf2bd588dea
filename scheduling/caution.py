"""How far from its deadline work has to end, given how well expectations have been kept lately."""

from collections import deque

import numpy as np

WINDOW = 40
FEWEST = 8
QUANTILE = 0.9
MOST = 1.5
OVERRUN_QUANTILE, MOST_OVERRUN_MS = 0.95, 200.0


class Caution:
    """By which factor nine clips in ten have lately taken no longer than expected: 1..1.5, and 1 before
    eight clips were seen. A plan that is expected to take the whole budget is late every second time."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(maxlen=WINDOW)
        self._factor = 1.0

    def add(self, expected_ms: float, measured_ms: float) -> None:
        """Take in one clip; nothing is learnt from one without an expectation."""
        if expected_ms > 0:
            self._ratios.append(min(measured_ms / expected_ms, MOST))
            if len(self._ratios) >= FEWEST:
                self._factor = max(1.0, float(np.quantile(self._ratios, QUANTILE)))

    @property
    def factor(self) -> float:
        """What an expected latency is to be multiplied with before it is held against the deadline."""
        return self._factor


class Overrun:
    """By how many ms nineteen pieces of work in twenty have lately gone beyond what was expected, at most:
    0..200, and 0 before eight were seen. What is begun at the last moment has no second chance, and what
    holds a machine up does not ask how short its work is."""

    def __init__(self) -> None:
        self._beyond_ms: deque[float] = deque(maxlen=WINDOW)
        self._ms = 0.0

    def add(self, expected_ms: float, measured_ms: float) -> None:
        """Take in one piece of work; nothing is learnt from one without an expectation."""
        if expected_ms > 0:
            self._beyond_ms.append(min(max(measured_ms - expected_ms, 0.0), MOST_OVERRUN_MS))
            if len(self._beyond_ms) >= FEWEST:
                self._ms = float(np.quantile(self._beyond_ms, OVERRUN_QUANTILE))

    @property
    def ms(self) -> float:
        """How much sooner to begin."""
        return self._ms
