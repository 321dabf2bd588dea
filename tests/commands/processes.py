"""The program as its users run it: real processes."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

MAIN = Path(__file__).resolve().parents[2] / "main.py"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": ""}


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(MAIN), *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
    )


def run(*arguments: object, timeout_s: float = 90) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    process = start(*arguments)
    try:
        out, error = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, out, error


@contextmanager
def cloud(*arguments: object, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A cloud process and its URL."""
    process = start("cloud", "--port", port, *arguments)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"wss?://\S+", line)
        assert found, f"the cloud said {line!r}, and {process.stderr.read() if process.stderr else ''}"
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def only_line(error: str) -> str:
    """The one line that a refused command prints."""
    lines = [line for line in error.splitlines() if line.startswith("janus:")]
    assert "Traceback" not in error
    assert len(lines) == 1, error
    return lines[0]


class Listener:
    """Takes in all that a process says, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._more = threading.Condition()
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
        self._threads = [threading.Thread(target=self._listen, args=(pipe,)) for pipe in pipes]
        for thread in self._threads:
            thread.start()

    def wait_for(self, text: str, timeout_s: float = 60) -> str:
        """The line that holds `text`, once it is said."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._more:
            line = self._more.wait_for(found, timeout_s)
        assert line, f"never said {text!r}, but {self._lines}"
        return line

    def all(self) -> str:
        """Everything, once the process has ended."""
        for thread in self._threads:
            thread.join()
        return "".join(self._lines)

    def _listen(self, pipe: TextIO) -> None:
        for line in pipe:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()
