"""A live source out of an address."""

import logging
import random
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import ConfigError
from sources.base import FrameGeometry
from sources.live.backoff import Backoff
from sources.live.intake import Intake
from sources.live.opening import opening_of
from sources.live.reader import LivePicture, Reader
from sources.live.source import LiveSource
from sources.live.states import OnChange, SourceStates, SourceStatus, State
from sources.live.url import WEBCAM, Address

log = logging.getLogger(__name__)


def live_source(
    address: Address,
    name: str,
    geometry: FrameGeometry,
    clock: Clock,
    *,
    backoff: Backoff | None = None,
    patience_s: float | None = None,
    on_change: OnChange | None = None,
) -> LiveSource:
    """The camera or stream at `address`; connects to nothing yet. ConfigError for a webcam that is none.

    `on_change` hears of every change and every trouble; without one they are logged.
    """
    if address.scheme == WEBCAM:
        _require_device(address)
    opening, stop = opening_of(address), threading.Event()
    states = SourceStates(name, clock.now(), opening.stall_s, on_change or log_change)

    def connect() -> Iterator[LivePicture]:
        return Reader(name, opening, clock, states, stop).pictures()

    return LiveSource(
        name,
        connect=connect,
        intake=Intake(name, geometry, states),
        states=states,
        backoff=backoff or Backoff(random.Random(name)),  # noqa: S311 (jitter is no secret)
        clock=clock,
        stop=stop,
        patience_s=patience_s,
    )


def log_change(status: SourceStatus, news: str | None) -> None:
    """Log a change of a source: as a warning what a person may have to mend, and that it is mended."""
    fields = {"source": status.source, "state": status.state}
    if news is None:
        mended = status.state is State.RUNNING and status.last_error is not None
        level = logging.WARNING if mended else logging.INFO
        log.log(level, "%s: %s", status.source, status.state, extra=fields)
    else:
        log.warning("%s: %s: %s", status.source, status.state, news, extra=fields)


def _require_device(address: Address) -> None:
    path = Path(address.url)
    if not path.exists():
        raise ConfigError(f"source {address.shown!r}: no such device; webcams here: {_webcams()}")
    if not stat.S_ISCHR(path.stat().st_mode):
        raise ConfigError(f"source {address.shown!r}: not a device; webcams here: {_webcams()}")


def _webcams() -> str:
    return ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
