"""Capture: frames of a source, read in the source's own thread."""

import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from itertools import islice

import anyio

from pipeline.errors import SourceError, in_one_line
from pipeline.items import Frame, SourceBreak, SourceEnd, SourceStart
from pipeline.worker import Worker
from sources.base import FALLBACK_RATE, Source

log = logging.getLogger(__name__)

Captured = SourceStart | Frame | SourceBreak | SourceEnd


async def capture(source: Source, frames_at_once: int = 1) -> AsyncGenerator[Captured, None]:
    """Yield the start, the frames and breaks, and the end of `source`; its error, whichever, is in its end.

    `frames_at_once` > 1 saves hops between threads where frames need not be live.
    """
    frames = source.frames()
    started = False
    with Worker(f"read {source.name}") as worker:
        try:
            while True:
                chunk, end = await worker.run(_read, source.name, frames, frames_at_once)
                if chunk and not started:
                    started = True
                    yield SourceStart(source.name, source.rate or FALLBACK_RATE)
                for item in chunk:
                    yield item
                if end is not None:
                    yield end
                    return
        finally:
            source.close()
            with anyio.CancelScope(shield=True):
                await worker.run(_close, frames)


async def capture_in_turn(sources: Iterable[Source], frames_at_once: int) -> AsyncGenerator[Captured, None]:
    """Capture one source after the other, each opened when its turn comes."""
    for source in sources:
        async with aclosing(capture(source, frames_at_once)) as items:
            async for item in items:
                yield item


def _read(
    name: str, frames: Iterator[Frame | SourceBreak], at_most: int
) -> tuple[list[Frame | SourceBreak], SourceEnd | None]:
    chunk: list[Frame | SourceBreak] = []
    try:
        chunk.extend(islice(frames, at_most))
    except SourceError as error:
        return chunk, SourceEnd(name, str(error))
    except Exception as error:  # one source ends no other
        log.debug("%s: reading ended in an error", name, exc_info=True)
        return chunk, SourceEnd(name, f"{name}: {in_one_line(error)}")
    return chunk, None if len(chunk) == at_most else SourceEnd(name)


def _close(frames: Iterator[Frame | SourceBreak]) -> None:
    close = getattr(frames, "close", None)
    if close is not None:
        close()
