"""How soon a device works with its cloud again after a dead link has recovered: real processes.

    python -m benchmarks.recovery [--dead-s 60] [--rounds 2]

A live pattern runs on a device that is emulated to be slower, so that the cloud is worth having. The
emulated link is up for 15 s, then dead, then up again; the device's log says when which plan was taken.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
import typer
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.table import Table

from scheduling.traces import Trace
from transport.emulation import emulated_link

MAIN = Path(__file__).resolve().parents[1] / "main.py"
UP_S = 15.0
AFTER_S = 10.0
MBPS = 20.0
RTT_MS = 30.0
FPS = 48
LAST_SPLIT = 13
console = Console()


def interrupted_link(dead_s: float) -> Trace:
    """Up, dead, up for ever."""
    times_s = np.array([0.0, UP_S, UP_S + dead_s])
    return Trace("up, dead, up", times_s, np.array([MBPS, 0.0, MBPS]), UP_S + dead_s + 1, looped=False)


@contextmanager
def process(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(MAIN), *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def plans(log: list[str]) -> list[tuple[float, int]]:
    """When (seconds since the epoch) each plan was taken, and its split."""
    found = []
    for line in log:
        if " stages.schedule: " in line:
            at = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()
            found.append((at, int(line.split("split ")[1].split(",")[0])))
    return found


def once(dead_s: float, slowdown: float) -> tuple[int, int, float]:
    """Plans with a cloud and without during the dead time's last 50 s, and seconds to the first cloud plan
    after it."""
    with process("cloud", "--port", "0") as cloud, start_blocking_portal() as portal:
        assert cloud.stdout
        far = urlsplit(next(w for w in cloud.stdout.readline().split() if w.startswith("ws://")))
        link = emulated_link(
            "127.0.0.1", 0, "127.0.0.1", far.port or 0, interrupted_link(dead_s), rtt_ms=RTT_MS
        )
        with portal.wrap_async_context_manager(link) as near:
            began = time.time()
            clips = round((UP_S + dead_s + AFTER_S) * FPS / 16)
            source = f"pattern:motions?fps={FPS}&clips={clips}"
            url = far._replace(netloc=f"{near.host}:{near.port}").geturl()
            options = ("--sla-ms", "300", "--emulate-slowdown", f"{slowdown:g}", "--patience", "600", "-vv")
            with process("device", "--source", source, "--cloud", url, "--output", "-", *options) as device:
                assert device.stdout
                assert device.stderr
                threading.Thread(target=device.stdout.read, daemon=True).start()
                log: list[str] = []
                threading.Thread(target=lambda: log.extend(device.stderr), daemon=True).start()
                time.sleep(began + UP_S + dead_s + AFTER_S - time.time())
    dead_from, alive_from = began + UP_S, began + UP_S + dead_s
    during = [split for at, split in plans(log) if max(dead_from, alive_from - 50) < at < alive_from]
    after = [at for at, split in plans(log) if at >= alive_from and split < LAST_SPLIT]
    sent = sum(split < LAST_SPLIT for split in during)
    return sent, len(during) - sent, min(after, default=float("inf")) - alive_from


def main(
    dead_s: Annotated[float, typer.Option(help="how long the link is dead")] = 60.0,
    rounds: Annotated[int, typer.Option(help="how often")] = 2,
    slowdown: Annotated[float, typer.Option(help="the emulated device's factor")] = 5.0,
) -> None:
    table = Table(
        "round", "cloud plans while dead", "device plans while dead", "s to the next cloud plan", "wanted"
    )
    for index in range(rounds):
        sent, kept, seconds = once(dead_s, slowdown)
        table.add_row(f"{index + 1}", f"{sent}", f"{kept}", f"{seconds:.2f}", "at most 3")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
