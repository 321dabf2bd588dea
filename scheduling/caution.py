"""How far from its deadline work has to end, given how well expectations have been kept lately."""

from collections import deque

import numpy as np

WINDOW = 40
FEWEST = 8
QUANTILE = 0.9
MOST = 1.5


class Caution:
    """By which factor nine clips in ten (`quantile`) have lately taken no longer than expected: 1..1.5
    (`most`), and 1 before eight clips were seen. A plan that is expected to take the whole budget is late
    every second time."""

    def __init__(self, quantile: float = QUANTILE, most: float = MOST) -> None:
        self._quantile = quantile
        self._most = most
        self._ratios: deque[float] = deque(maxlen=WINDOW)
        self._factor = 1.0

    def add(self, expected_ms: float, measured_ms: float) -> None:
        """Take in one clip; nothing is learnt from one without an expectation."""
        if expected_ms > 0:
            self._ratios.append(min(measured_ms / expected_ms, self._most))
            if len(self._ratios) >= FEWEST:
                self._factor = max(1.0, float(np.quantile(self._ratios, self._quantile)))

    @property
    def factor(self) -> float:
        """What an expected latency is to be multiplied with before it is held against the deadline."""
        return self._factor
