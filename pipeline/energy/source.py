"""What every source of energy figures promises."""

from pathlib import Path
from typing import Protocol


class EnergySource(Protocol):
    """A part of the machine that shows what it takes.

    `name` is its own in the machine; it is to be read every `period_s` or more often. `joules()` is what it
    has taken since the source was made, and never falls; OSError where that is not shown now. It may block
    for as long as the system takes, and is for one thread at a time.
    """

    name: str
    period_s: float

    def joules(self) -> float: ...


def read_number(path: Path) -> int:
    """The whole number in a file of the system; OSError where there is none."""
    text = path.read_text("ascii", "replace").strip()
    try:
        return int(text)
    except ValueError:
        raise OSError(f"{path}: holds {text[:20]!r}, not a whole number") from None
