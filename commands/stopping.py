"""Ending in order: a first signal asks, grace that is over or a second signal insists."""

import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio

from pipeline.background import background
from pipeline.clock import Clock

log = logging.getLogger(__name__)


@asynccontextmanager
async def ending_on_signals(stop: Callable[[], None], grace_s: float, clock: Clock) -> AsyncIterator[None]:
    """Let SIGINT or SIGTERM call `stop`, after which the block should end by itself.

    `grace_s` later, or at a second signal, it is cancelled; the context then goes on behind it.
    """
    scope = anyio.CancelScope()
    async with background(partial(_watch, stop, grace_s, clock, scope)):
        with scope:
            yield


async def _watch(stop: Callable[[], None], grace_s: float, clock: Clock, scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))
        log.warning("asked to end: finishing what is under way, for %g s at most", grace_s)
        stop()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_sleep, clock, grace_s, tasks.cancel_scope)
            await anext(aiter(signals))
            tasks.cancel_scope.cancel()
    log.warning("what is still under way is given up")
    scope.cancel()


async def _sleep(clock: Clock, seconds: float, scope: anyio.CancelScope) -> None:
    await clock.sleep(seconds)
    scope.cancel()
