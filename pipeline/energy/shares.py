"""How what a machine takes is shared out over the records of its clips."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pipeline.items import Prediction


class EnergyShares:
    """Gives each record what the machine took since the record before it: clips are under way at the same
    time, so no joule is any one clip's own, but all shares are what the machine took, waiting included.

    `joules` is what it took so far; None while it does not show it: such records have no share, and the
    next one that can have one has theirs, too. What was taken before `begin()` is nobody's.
    """

    def __init__(self, joules: Callable[[], float | None]) -> None:
        self._joules = joules
        self._shared: float | None = None

    def begin(self) -> None:
        """The first clip is there."""
        self._shared = self._joules()

    def share(self, records: Sequence[Prediction]) -> list[Prediction]:
        """The records of clips that ended together, with an equal share each."""
        shared, total = self._shared, self._joules()
        if total is None:
            return list(records)
        self._shared = total
        if shared is None:
            return list(records)
        each = (total - shared) / len(records)
        return [replace(record, energy_j=each) for record in records]
