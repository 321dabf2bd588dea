"""The program as its users run it: real processes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
