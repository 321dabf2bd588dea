"""Peers as boxes of their own: a process for each, and an emulated link in front of it."""

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

MAIN = Path(__file__).resolve().parents[1] / "main.py"
ADDRESS = re.compile(r"(?:ws://)?127\.0\.0\.1:(\d+)")


def start(*arguments: object, errors: int | None = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    command = [sys.executable, str(MAIN), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)


class Box:
    """A peer that serves one part, and its link; it comes back at the same address."""

    def __init__(self, part: Path, mbps: float, rtt_ms: float) -> None:
        self._part = part
        self._mbps = mbps
        self._rtt_ms = rtt_ms
        self._port = self._link_port = 0
        self._peer: subprocess.Popen[str] | None = None
        self._link: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._peer, self._link):
            if process is not None:
                process.kill()
                process.communicate()

    def start(self) -> None:
        """Start the peer; `wait` for it before it is dialled."""
        self._peer = start("peer", "--part", self._part, "--port", self._port)

    def wait(self) -> None:
        """Until the peer listens, and its link leads to it."""
        assert self._peer is not None
        self._port = _port(self._peer)
        if self._link is None:
            self._link = self._start_link(self._mbps)
            self._link_port = _port(self._link)
            self.url = f"ws://127.0.0.1:{self._link_port}"

    def slow_down(self, mbps: float | None = None) -> None:
        """Give the link another speed, or its own again; connections over it are lost once."""
        assert self._link is not None
        self._link.kill()
        self._link.communicate()
        self._link = self._start_link(mbps or self._mbps)

    def kill(self) -> None:
        """End the peer as a cut of power does."""
        assert self._peer is not None
        self._peer.kill()
        self._peer.communicate()

    def stall(self) -> None:
        """Let the peer stand still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def _start_link(self, mbps: float) -> "subprocess.Popen[str]":
        at = ("--listen", f"127.0.0.1:{self._link_port}", "--to", f"127.0.0.1:{self._port}")
        return start("link", *at, "--mbps", mbps, "--down-mbps", mbps, "--rtt-ms", self._rtt_ms)

    def _signal(self, number: int) -> None:
        assert self._peer is not None
        with suppress(ProcessLookupError):
            self._peer.send_signal(number)


def _port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    found = ADDRESS.search(process.stdout.readline())
    assert found, "it ended before it listened"
    return int(found[1])
