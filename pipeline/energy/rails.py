"""The power rails of NVIDIA's Jetson boards, as Linux shows them (INA3221 under hwmon)."""

import logging
from functools import partial
from pathlib import Path

from pipeline.clock import Clock
from pipeline.energy.integral import Integral
from pipeline.energy.source import read_number

log = logging.getLogger(__name__)

CHIPS = "class/hwmon"
MONITOR = "ina3221"
INPUT = "VDD_IN"
WATTS = 1e-6  # of a millivolt times a milliampere


def input_rails(system: Path, clock: Clock) -> list[Integral]:
    """The rail through which all of the board's power comes, below `system`; none where no rail has its
    label. What may not be read is not there; the log says so."""
    rails = []
    for chip in sorted((system / CHIPS).glob("hwmon*")):
        try:
            if _text(chip / "name") == MONITOR:
                channels = [label.name.removesuffix("_label") for label in sorted(chip.glob("in*_label"))]
                rails += [
                    Integral(INPUT, partial(_watts, chip, channel.removeprefix("in")), clock)
                    for channel in channels
                    if _text(chip / f"{channel}_label") == INPUT
                ]
        except OSError as error:
            log.info("energy of the board's rails is not shown: %s", error)
    return rails[:1]


def _watts(chip: Path, channel: str) -> float:
    millivolts, milliamperes = (read_number(chip / f"{kind}{channel}_input") for kind in ("in", "curr"))
    return max(0, millivolts * milliamperes) * WATTS


def _text(path: Path) -> str:
    return path.read_text("ascii", "replace").strip()
