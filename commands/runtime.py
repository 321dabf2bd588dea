"""How every verb starts, ends, and tells the user what went wrong."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import uvloop

from commands.logs import PROGRAM, Style, json_line, set_up
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


async def interrupted(message: str) -> None:
    """Say what runs, and wait for SIGINT or SIGTERM: whoever reads the message may send one at once."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        say(message)
        async for _ in signals:
            return


def say(message: str) -> None:
    """One line on stdout: where something listens."""
    print(json_line("info", PROGRAM, message) if _log.style == "json" else message, flush=True)


def announce(message: str) -> None:
    """One line on stderr that was asked for, whatever is logged."""
    _tell("info", message)


def complain(message: str) -> None:
    """One line on stderr, without characters that would command a terminal."""
    _tell("error", message)


def set_up_logging(verbose: int, style: Style = "text") -> None:
    """Warnings by default; -v tells what happens, -vv every detail. What is announced and complained of is of
    the same style as the log."""
    _log.style = style
    set_up(verbose, style)


@dataclass(slots=True)
class _Log:
    style: Style = "text"


_log = _Log()


def _tell(level: str, message: str) -> None:
    line = printable(" ".join(message.split()))
    text = json_line(level, PROGRAM, line) if _log.style == "json" else f"{PROGRAM}: {line}"
    print(text, file=sys.stderr, flush=True)
