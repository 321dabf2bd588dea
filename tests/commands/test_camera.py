import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands.camera import VARIABLE, password_for
from pipeline.errors import ConfigError
from tests.commands.processes import ENVIRONMENT, only_line, run, start
from tests.commands.secrecy import command_line
from tests.sources.camera.watching import watch

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def camera(*arguments):
    """A camera process, the line it said, and its URL."""
    process = start("camera", "pattern:motions?clips=1", "--port", 0, *arguments)
    try:
        line = process.stdout.readline()
        found = re.search(r"rtsp://\S+(?=: )", line)
        assert found, line + process.stderr.read()
        yield process, line, found[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_camera_process_plays_to_its_user_until_a_signal_and_ends_with_0(ending, tmp_path):
    (tmp_path / "password").write_text("geheim\n")
    options = (
        "--user",
        "user",
        "--password-file",
        tmp_path / "password",
        "--path",
        "yard/door",
        "--fps",
        50,
        "-v",
    )
    with camera(*options) as (process, line, url):
        assert line.startswith("janus camera plays pattern:motions?clips=1 at rtsp://127.0.0.1:")
        assert line.endswith("/yard/door: 256 x 256, 50 frames a second\n")
        shown = command_line(process)
        assert watch(url, 1).error == "HTTPUnauthorizedError"
        assert len(watch(url.replace("://", "://user:geheim@"), 10).pts) == 10
        process.send_signal(ending)
        out, error = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert "geheim" not in line + error + shown and "Traceback" not in error


def test_a_password_is_in_a_file_or_else_in_the_environment(tmp_path):
    here, file = {VARIABLE: "from here"}, tmp_path / "password"
    file.write_text("from there\n")
    assert password_for("me", file, here) == "from there"
    assert password_for("me", None, here) == "from here"
    assert password_for(None, None, here) is None
    with pytest.raises(ConfigError, match=f"or as {VARIABLE}"):
        password_for("me", None, {})


def test_faults_happen_when_they_were_asked_for():
    with camera("--fps", 50, "--fault", "fin:2", "--fault", "late-describe:0.5") as (_, _, url):
        began = time.monotonic()
        seen = watch(url, 10_000)
        assert 0.5 < time.monotonic() - began < 10
        assert 0 < len(seen.pts) < 150


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["gone.mp4"], "video 'gone.mp4': no such file; give a video, or pattern:motions"),
        (["pattern:motions", "--fault", "melt:3"], "there is no 'melt'"),
        (["pattern:motions", "--user", "me"], "--password-file FILE, or as JANUS_CAMERA_PASSWORD"),
        (["pattern:motions", "--password-file", "/dev/null"], "/dev/null is empty; write the password"),
        (["pattern:motions", "--password-file", "gone"], "--password-file: gone cannot be read"),
        (["pattern:motions", "--tls-cert", "a", "--tls-key", "b"], "a and b: No such file or directory"),
        (["pattern:motions", "--host", "no.such.host.invalid"], "choose another port or host"),
    ],
)
def test_what_cannot_be_played_is_exit_status_2_and_one_line(arguments, problem):
    status, out, error = run("camera", *arguments)
    assert (status, out) == (2, "")
    assert problem in only_line(error)


def test_a_camera_needs_no_torch():
    code = "import sys, commands.camera; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    out = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, check=True
    ).stdout
    assert out == "False\n"
