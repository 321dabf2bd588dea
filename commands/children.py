"""Processes of this program that another one starts, and ends in order."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from pipeline.errors import JanusError

MAIN = Path(__file__).resolve().parents[1] / "main.py"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 15.0
CLOUD_URL = re.compile(r"ws://\S+")


class Child:
    """One verb of this program, as a process."""

    def __init__(self, verb: str, *arguments: str, shown: bool) -> None:
        self.verb = verb
        self._process = subprocess.Popen(
            [sys.executable, str(MAIN), verb, *arguments],
            stdout=None if shown else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, once it has ended."""
        return self._process.poll()

    def lines(self) -> Iterator[str]:
        """What it writes to its standard output, unless that is shown."""
        yield from self._process.stdout or ()

    def address(self, pattern: re.Pattern[str]) -> str:
        """What it says of where it listens; JanusError if it ends before."""
        for line in self.lines():
            if found := pattern.search(line):
                return found[0]
        raise JanusError(f"the {self.verb} process ended before it listened")

    def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        return self._process.wait()

    def end(self, grace_s: float) -> None:
        """Ask it to end, and kill it after `grace_s`."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.communicate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


class Children:
    """Ends its processes with the context, the last one first, each before the next.

    They are in process groups of their own: Ctrl-C, or another signal that asks to end, reaches this process
    alone, as KeyboardInterrupt. One more while they end kills them all.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._children: list[Child] = []
        self._asked = self._busy = self._ending = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in ENDINGS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        for child in reversed(self._children):
            child.end(self._grace_s)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def start(self, verb: str, *arguments: str, shown: bool = False) -> Child:
        """Start one verb; `shown` leaves it our standard output."""
        self._busy = True  # a signal between its start and its entry here would leave it behind
        try:
            child = Child(verb, *arguments, shown=shown)
            self._children.append(child)
        finally:
            self._busy = False
        if self._asked:
            raise KeyboardInterrupt
        return child

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            for child in self._children:
                child.kill()
        elif not self._asked:
            self._asked = True
            if not self._busy:
                raise KeyboardInterrupt
