"""Watching what comes: an encoder that hangs sends the same picture for ever."""

import numpy as np

from pipeline.items import Pixels


class FrozenPicture:
    """Tells when the picture has been the same, to the last bit, for `after_s`: what a lens sees never is."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._picture: Pixels | None = None
        self._since = 0.0
        self._told = False

    def add(self, pixels: Pixels, now: float) -> bool:
        """True once for each time that the picture froze."""
        if self._picture is None or not np.array_equal(self._picture, pixels):
            self._picture, self._since, self._told = pixels, now, False
            return False
        if self._told or now - self._since < self._after_s:
            return False
        self._told = True
        return True
