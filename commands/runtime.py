"""How every verb starts, ends, and tells the user what went wrong."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
import uvloop

from pipeline.errors import JanusError
from transport.untrusted import printable

T = TypeVar("T")

OK, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def guarded(work: Callable[[], int], on_interrupt: str = "interrupted") -> int:
    """Run `work`; a JanusError becomes one line on stderr and exit status 2, Ctrl-C exit status 130."""
    try:
        return work()
    except JanusError as error:
        complain(str(error))
        return USAGE
    except (OSError, UnicodeError) as error:
        complain(f"{type(error).__name__}: {error}")
        return USAGE
    except KeyboardInterrupt:
        complain(on_interrupt)
        return INTERRUPTED


def run_async(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on uvloop and return what it returns."""
    gc.collect()
    gc.freeze()  # a full collection over all that torch loads would hold the loop for tens of milliseconds
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    finally:
        gc.unfreeze()


async def interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def announce(message: str) -> None:
    """Say on stderr what was asked to be known, whatever is logged."""
    complain(message)


def complain(message: str) -> None:
    """One line on stderr, without characters that would command a terminal."""
    print(f"janus: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)


def set_up_logging(verbose: int) -> None:
    """Warnings by default; -v tells what happens, -vv every detail."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
