"""Several sinks that open in turn and close at the same time."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pipeline.errors import SinkError
from sinks.base import Sink

log = logging.getLogger(__name__)


@contextmanager
def opened(sinks: Sequence[Sink]) -> Iterator[None]:
    """Open `sinks`, and close those that are open whatever happens, so that their graces run beside each
    other. Raises the first SinkError of a close unless the body failed itself; all others are logged."""
    ready: list[Sink] = []
    try:
        for sink in sinks:
            sink.open()
            ready.append(sink)
        yield
    except BaseException:
        _say(_close(ready))
        raise
    errors = _close(ready)
    _say(errors[1:])
    if errors:
        raise errors[0]


def _close(sinks: Sequence[Sink]) -> list[SinkError]:
    with ThreadPoolExecutor(max(1, len(sinks)), "closing") as pool:
        return [error for error in pool.map(_closed, sinks) if error is not None]


def _closed(sink: Sink) -> SinkError | None:
    try:
        sink.close()
    except SinkError as error:
        return error
    return None


def _say(errors: Sequence[SinkError]) -> None:
    for error in errors:
        log.warning("%s", error)
