"""How far this moment is from the profile: load, throttling, a neighbour."""

import math
from collections import deque
from statistics import median

WINDOW = 9
WEIGHT = 0.25
FADING_S = 10.0
LEAST, MOST = 0.1, 20.0


class Correction:
    """A slow factor, measured over predicted, that starts at 1 and stays within 0.1..20.

    The median of the last 9 ratios (1 before there are any) ignores outliers; a running mean of its
    logarithm smooths it, so that twice and half as slow weigh the same.
    """

    def __init__(self) -> None:
        self._logs = deque([0.0] * WINDOW, maxlen=WINDOW)
        self._log = 0.0

    def add(self, predicted_ms: float, measured_ms: float) -> None:
        """Take in one clip; nothing is learnt from a time that is not finite and above 0."""
        if 0 < predicted_ms < math.inf and 0 < measured_ms < math.inf:
            log = math.log(measured_ms) - math.log(predicted_ms)
            self._logs.append(min(max(log, math.log(LEAST)), math.log(MOST)))
            self._log += WEIGHT * (median(self._logs) - self._log)

    def fade(self, silent_s: float) -> None:
        """Nothing was heard for `silent_s` more: move towards 1, by half in ten seconds. Who stays away
        from a slow machine would not learn that it is fast again."""
        self._log *= 0.5 ** (max(silent_s, 0.0) / FADING_S)

    @property
    def factor(self) -> float:
        """By what a predicted time is to be multiplied."""
        return min(max(math.exp(self._log), LEAST), MOST)
