"""Warnings about strangers, of whom there may be thousands: no more than a log can bear."""

import logging

from pipeline.clock import Clock, SystemClock

MOST = 20
WITHIN_S = 60.0


class Complaints:
    """Logs up to `most` warnings in `within_s` seconds, and then only how many more there were."""

    def __init__(
        self,
        logger: logging.Logger,
        clock: Clock | None = None,
        *,
        most: int = MOST,
        within_s: float = WITHIN_S,
    ) -> None:
        self._logger = logger
        self._clock = clock or SystemClock()
        self._most = most
        self._within_s = within_s
        self._began = self._clock.now()
        self._count = 0

    def add(self, line: str) -> None:
        """Log `line`, if there is room for it."""
        now = self._clock.now()
        if now - self._began >= self._within_s:
            unsaid = self._count - self._most
            if unsaid > 0:
                self._logger.warning("%d more strangers were turned away in the meantime", unsaid)
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= self._most:
            self._logger.warning("%s", line)
