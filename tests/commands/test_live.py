"""The live demo, with all its processes, and what is left of them."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from commands import live
from tests.commands.processes import ENVIRONMENT, MAIN

MARK = "JANUS_TEST_MARK"


@pytest.fixture
def mark():
    """Marks the environment of a process and of all that it starts; kills what is left of them."""
    value = uuid.uuid4().hex
    yield value
    for pid in left(value):
        os.kill(pid, signal.SIGKILL)


def left(mark):
    """The processes with this mark that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def start(mark, *arguments):
    return subprocess.Popen(
        [sys.executable, str(MAIN), "live", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {MARK: mark},
        process_group=0,
    )


def test_it_lasts_as_long_as_it_was_told(monkeypatch, capsys):
    monkeypatch.setattr(live, "_start", lambda *_: None)
    began = time.monotonic()
    assert live.run(0.2, 0, 600) == 0
    assert time.monotonic() - began >= 0.2
    assert capsys.readouterr().err == ""


def test_ctrl_c_on_a_terminal_ends_all_of_them_in_order(mark):
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            environment = ENVIRONMENT | {MARK: mark, "TERM": "xterm"}
            os.execve(sys.executable, [sys.executable, str(MAIN), "live"], environment)
        finally:
            os._exit(127)
    shown, until, asked = b"", time.monotonic() + 100, False
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        if not asked and b"0.00-0.60" in shown:
            asked = True
            os.write(terminal, b"\x03")
    if not asked:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = shown.decode(errors="replace")
    assert asked, text
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "over a made-up LTE uplink" in text
    assert "promises answers within 600 ms" in text
    assert "ending the device, the link, the cloud and the camera" in text
    assert re.search(r"[1-9]\d* clips: ", text)
    assert "Traceback" not in text
    assert left(mark) == []


def test_a_process_that_ends_by_itself_ends_them_all_and_is_said(mark, monkeypatch):
    process = start(mark)
    try:
        assert process.stdout.readline().startswith("starting a camera")
        assert process.stdout.readline().startswith("the camera plays")
        camera = next(
            pid for pid in left(mark) if b"camera" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        )
        os.kill(camera, signal.SIGKILL)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2
    assert "janus: the camera process ended with exit status -9" in error
    assert left(mark) == []


def test_one_that_did_not_end_in_order_is_said(monkeypatch, capsys):
    class Odd:
        verb, status = "device", 3

    class Few:
        def __enter__(self):
            return [Odd()]

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(live, "Children", Few)
    monkeypatch.setattr(live, "_start", lambda *_: None)
    monkeypatch.setattr(live, "_watch", lambda *_: None)
    assert live.run(1.0, 0, 600) == 1
    assert "not all ended in order: the device with exit status 3" in capsys.readouterr().err
