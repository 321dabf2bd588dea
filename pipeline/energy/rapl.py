"""The counters of x86 processors, as Linux shows them (powercap, RAPL)."""

import logging
from functools import partial
from pathlib import Path

from pipeline.energy.counter import Counter
from pipeline.energy.source import read_number

log = logging.getLogger(__name__)

ZONES = "class/powercap"
PLATFORM = "psys"
PACKAGE = "package-"
MICROJOULE = 1e-6


def rapl_counters(system: Path, *, whole_platform: bool) -> list[Counter]:
    """A counter for each processor package below `system`, or, where `whole_platform` is wanted and counts,
    that of the platform in their place. What may not be read is not there; the log says so once."""
    found: dict[str, Counter] = {}
    hidden: list[str] = []
    for zone in sorted((system / ZONES).glob("intel-rapl*:*")):  # some are shown by two roads, by one name
        try:
            name = (zone / "name").read_text("ascii", "replace").strip()
            if name.startswith(PACKAGE) or (name == PLATFORM and whole_platform and _counts(zone)):
                found[name] = _counter(zone, name)
        except OSError as error:
            hidden.append(str(error))
    if hidden:
        log.info("energy of %d zones of the processor is not shown: %s", len(hidden), hidden[0])
    platform = found.pop(PLATFORM, None)
    return list(found.values()) if platform is None else [platform]


def _counts(zone: Path) -> bool:
    """A board that does not measure its platform shows 0 for ever."""
    return read_number(zone / "energy_uj") > 0


def _counter(zone: Path, name: str) -> Counter:
    most = read_number(zone / "max_energy_range_uj")
    return Counter(name, partial(read_number, zone / "energy_uj"), MICROJOULE, most)
