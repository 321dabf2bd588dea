"""Watching what comes: a hung encoder sends one picture for ever, a slow clock makes all of them old."""

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


class OldPictures:
    """Tells when all pictures have been over `most_s` old as they arrived, for `after_s`; times in s."""

    def __init__(self, most_s: float, after_s: float) -> None:
        self._most_s = most_s
        self._after_s = after_s
        self._since: float | None = None
        self._told = False

    def add(self, age_s: float, now: float) -> bool:
        """True at the first such time, and never again."""
        if age_s <= self._most_s:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if self._told or now - self._since < self._after_s:
            return False
        self._told = True
        return True
