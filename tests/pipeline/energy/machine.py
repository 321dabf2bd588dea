"""Machines that show what they take: Linux's files, NVIDIA's driver, and a source that a test turns."""

from pathlib import Path


def write(folder: Path, **files: object) -> Path:
    """`folder` with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def zone(system: Path, number: str, name: str, energy_uj: object = 0, most: object = 262_143_328_850) -> Path:
    """A zone of powercap; its `energy_uj` may be anything."""
    folder = system / "class" / "powercap" / f"intel-rapl:{number}"
    return write(folder, name=name, energy_uj=energy_uj, max_energy_range_uj=most)


def hide(path: Path) -> None:
    """Make a file one that cannot be read, for root neither."""
    path.unlink()
    path.mkdir()


def monitor(system: Path, number: int = 0, name: str = "ina3221", **channels: object) -> Path:
    """A chip of hwmon, such as `in1_label="VDD_IN", in1_input=5000, curr1_input=2000`."""
    return write(system / "class" / "hwmon" / f"hwmon{number}", name=name, **channels)


class NVMLError(Exception):
    """As the driver's."""


class Driver:
    """What nvidia-ml-py asks: `cards` hold millijoules and milliwatts, None where that is not supported."""

    NVMLError = NVMLError

    def __init__(self, *cards: dict[str, int | None], broken: str | None = None) -> None:
        self.cards = cards
        self.broken = broken

    def nvmlInit(self) -> None:
        if self.broken:
            raise NVMLError(self.broken)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, int | None]:
        return self.cards[index]

    def nvmlDeviceGetTotalEnergyConsumption(self, card: dict[str, int | None]) -> int:
        return self._shown(card, "mj")

    def nvmlDeviceGetPowerUsage(self, card: dict[str, int | None]) -> int:
        return self._shown(card, "mw")

    def _shown(self, card: dict[str, int | None], what: str) -> int:
        if (value := card.get(what)) is None:
            raise NVMLError("Not Supported")
        return value


class Turned:
    """A source whose joules the test sets; OSError while they are None."""

    def __init__(self, name: str = "package-0", joules: float | None = 0.0, period_s: float = 60.0) -> None:
        self.name = name
        self.period_s = period_s
        self.value = joules
        self.reads = 0

    def joules(self) -> float:
        self.reads += 1
        if self.value is None:
            raise OSError("Input/output error")
        return self.value


class Busy(Turned):
    """Takes a joule before each reading."""

    def joules(self) -> float:
        self.value = (self.value or 0.0) + 1.0
        return super().joules()
