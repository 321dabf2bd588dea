"""The energy of many records, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(slots=True)
class EnergyTotal:
    """What the records of a run had for shares; those without any do not count."""

    joules: float = 0.0
    records: int = 0

    @classmethod
    def of(cls, shares: Iterable[float | None]) -> Self:
        """The total of all these."""
        total = cls()
        for energy_j in shares:
            total.add(energy_j)
        return total

    def add(self, energy_j: float | None) -> None:
        """One more record's share."""
        if energy_j is not None:
            self.joules += energy_j
            self.records += 1

    @property
    def per_clip(self) -> float | None:
        """The mean share in joules; None where no record had any."""
        return self.joules / self.records if self.records else None

    def told(self) -> str | None:
        """In words; None where no record had any."""
        return None if self.per_clip is None else f"{self.joules:.1f} J, {self.per_clip:.3f} a clip"
