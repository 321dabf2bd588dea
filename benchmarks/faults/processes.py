"""The processes of a run, whose output goes to files, and which end with it."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio

from pipeline.errors import JanusError

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "main.py"
LOOK_S = 0.05
SPEAKS_WITHIN_S = 120.0
GRACE_S = 20.0
OWN_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Different ports of this machine that nobody has, below those that the kernel hands out: while who
    listens there is gone, nobody else gets them."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(OWN_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


class Process:
    """One process that may be started again; `out` and `log` hold what all of its lives have written."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        nice: int = 0,
    ) -> None:
        self.name = name
        self.out, self.log = folder / f"{name}.out", folder / f"{name}.log"
        self._command = [*(["nice", "-n", str(nice)] if nice else []), sys.executable, *map(str, arguments)]
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._read_from = {self.out: 0, self.log: 0}

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def status(self) -> int | None:
        """Its exit status, once it has ended."""
        return self._started.poll()

    @property
    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, f"the {self.name} was not started"
        return self._process

    def start(self) -> None:
        """Start it, in a process group of its own: Ctrl-C reaches this process alone."""
        for path in self._read_from:
            self._read_from[path] = path.stat().st_size if path.exists() else 0
        with self.out.open("ab") as out, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                process_group=0,
            )

    def tell(self, line: str) -> None:
        """A line for its standard input."""
        assert self._started.stdin is not None
        self._started.stdin.write(f"{line}\n".encode())
        self._started.stdin.flush()

    async def says(self, pattern: str, where: Path, within_s: float = SPEAKS_WITHIN_S) -> "re.Match[str]":
        """What matches `pattern` in what it writes from its last start on; JanusError if that never comes."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if found := re.search(pattern, self._said(where)):
                return found
            if self.status is not None:
                raise JanusError(f"the {self.name} ended with exit status {self.status}: see {self.log}")
            await anyio.sleep(LOOK_S)
        raise JanusError(f"the {self.name} did not say {pattern!r} within {within_s:g} s: see {self.log}")

    async def kill(self) -> None:
        """End it at once."""
        self._started.kill()
        await self._ended(GRACE_S)

    async def asked_to_end(self) -> int | None:
        """Its exit status after SIGTERM; None if it had to be killed after GRACE_S."""
        self._started.send_signal(signal.SIGTERM)
        await self._ended(GRACE_S)
        return self.status

    def end(self) -> None:
        """Whatever it does, it is gone when this returns."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _ended(self, within_s: float) -> None:
        with anyio.move_on_after(within_s):
            await anyio.to_thread.run_sync(self._started.wait, abandon_on_cancel=True)

    def _said(self, where: Path) -> str:
        with where.open("rb") as file:
            file.seek(self._read_from[where])
            return file.read().decode(errors="replace")
