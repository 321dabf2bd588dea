"""How long to wait before a camera is called again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: after a loss `first_s`, doubling to `longest_s`; after a refusal `refused_s`, so that no
    camera locks an account whose password is wrong here."""

    first_s: float = 0.2
    longest_s: float = 5.0
    refused_s: float = 30.0


class Backoff:
    """Waits for ever, never twice the same: cameras that one switch took down do not come back as one."""

    def __init__(self, rng: random.Random, waits: Waits | None = None) -> None:
        self._rng = rng
        self._waits = waits or Waits()
        self._step_s = self._waits.first_s

    def next_wait(self, refused: bool = False) -> float:
        """Seconds, half of the step to the whole of it; a refusal leaves the step as it was."""
        step_s = self._waits.refused_s
        if not refused:
            step_s = self._step_s
            self._step_s = min(2 * self._step_s, self._waits.longest_s)
        return step_s * self._rng.uniform(0.5, 1.0)

    def over(self) -> None:
        """The camera did its work again for a while."""
        self._step_s = self._waits.first_s
