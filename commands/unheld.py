"""Parts of an ensemble that nobody holds: said when a run begins, and when that changes."""

import logging
from collections.abc import Callable, Sequence

from pipeline.clock import Clock

log = logging.getLogger(__name__)

LOOK_S = 1.0


async def warn_of_unheld(
    holders: Callable[[], Sequence[object | None]], digests: Sequence[str], clock: Clock
) -> None:
    """Look for ever, once a second, and warn in one line of the parts that are held by nobody, once for each
    set of them; `digests` are those of all parts, in the fusion's order."""
    said: list[str] = []
    while True:
        names = [f"part {part} ({digest[:8]})" for part, digest in enumerate(digests, start=1)]
        unheld = [name for name, holder in zip(names, holders(), strict=True) if holder is None]
        if unheld and unheld != said:
            log.warning("nobody holds %s; clips go without", ", ".join(unheld))
        elif said and not unheld:
            log.warning("every part is held")
        said = unheld
        await clock.sleep(LOOK_S)
