"""A dedicated thread for blocking work: torch, codecs, decoding."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

NICER_BY = 5

_Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Worker:
    """One named thread; `await worker.run(f, ...)` runs `f` there, one call at a time, in order.

    A plain queue and one wake-up of the loop: a hop costs two thirds of what an executor's does.
    Where the system allows it, the thread is nicer than the loop's, which then need not wait for it. The
    process ends without waiting for a `daemon`.
    """

    def __init__(self, name: str, *, daemon: bool = False) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        threading.Thread(target=self._serve, name=name, daemon=daemon).start()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on this thread and return what it returns, or raise what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((lambda: work(*args, **kwargs), future))
        return await future

    def close(self) -> None:
        """End the thread after the calls it has taken; a call whose caller has gone is not begun."""
        self._calls.put(None)

    def _serve(self) -> None:
        _give_way()
        while (call := self._calls.get()) is not None:
            work, future = call
            if future.cancelled():
                continue
            try:
                result = work()
            except BaseException as error:
                _tell(future, future.set_exception, error)
            else:
                _tell(future, future.set_result, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _give_way() -> None:
    """Have the system prefer other threads to this one."""
    if sys.platform != "linux":
        return  # elsewhere a thread has no niceness of its own
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICER_BY)


def _tell(future: "asyncio.Future[Any]", settle: Callable[[Any], None], outcome: object) -> None:
    def settle_unless_gone() -> None:
        if not future.done():
            settle(outcome)

    with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(settle_unless_gone)
