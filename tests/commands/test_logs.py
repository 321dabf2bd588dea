import json
import logging
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.logs import FIELDS, JsonFormatter, Stderr, TextFormatter, json_line
from commands.runtime import announce, complain, say, set_up_logging
from main import app
from sources.live.make import log_change
from sources.live.states import SourceStates
from tests.commands.processes import ENVIRONMENT, start
from tests.commands.test_runtime import logging_of_a_new_process

ROOT = Path(__file__).resolve().parents[2]
SECRET = "rtsp://me:hidden@host/cam?token=hidden"


@pytest.fixture
def style():
    yield set_up_logging
    set_up_logging(0)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def told(style, capsys):
    """What a new process that logs in JSON writes to stderr while `work` does something with a logger."""

    def tell(work, verbose=0):
        with logging_of_a_new_process():
            style(verbose, "json")
            work(logging.getLogger("transport.server"))
            assert sum(isinstance(handler, Stderr) for handler in logging.getLogger().handlers) == 1
        return capsys.readouterr().err

    return tell


def test_a_line_is_one_object_with_time_level_logger_and_message(told):
    (line,) = lines(told(lambda log: log.warning("%s went\naway", "x")))
    at = datetime.fromisoformat(line.pop("time").replace("Z", "+00:00"))
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert line == {"level": "warning", "logger": "transport.server", "message": "x went\naway"}


def test_known_fields_are_told_and_others_are_not(told):
    def work(log):
        log.warning("x", extra={"source": "door", "state": "running", "weather": "fine"})

    (line,) = lines(told(work))
    assert (line["source"], line["state"]) == ("door", "running")
    assert set(line) - {"time", "level", "logger", "message"} <= set(FIELDS)


def test_an_exception_is_in_the_object_and_holds_no_secret(told):
    def work(log):
        try:
            raise ValueError(f"cannot open {SECRET}")
        except ValueError:
            log.exception("clip %s", SECRET, extra={"clip": SECRET})

    (line,) = lines(told(work))
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert "ValueError: cannot open rtsp://***@host/cam" in line["exception"]
    assert "hidden" not in json.dumps(line)


def test_text_shows_no_secret_either(capsys):
    with logging_of_a_new_process():
        set_up_logging(0)
        logging.getLogger("x").warning("cannot open %s", SECRET)
    line = capsys.readouterr().err
    assert line.endswith(" WARNING x: cannot open rtsp://***@host/cam?token=***\n")


def test_the_style_may_change_while_it_runs(style, told):
    def work(log):
        log.debug("detail")
        log.info("news")
        style(1, "text")
        log.info("as text")

    first, second = told(work, verbose=1).splitlines()
    assert json.loads(first)["message"] == "news"
    assert second.endswith(" INFO transport.server: as text")


def test_complaints_and_announcements_are_objects_too(style, capsys):
    style(0, "json")
    complain(f"no such  file {SECRET}")
    announce("metrics at http://127.0.0.1:1/metrics")
    say("janus cloud listening at ws://127.0.0.1:1/janus")
    out, error = capsys.readouterr()
    assert [(line["level"], line["logger"], line["message"]) for line in lines(error)] == [
        ("error", "janus", "no such file rtsp://***@host/cam?token=***"),
        ("info", "janus", "metrics at http://127.0.0.1:1/metrics"),
    ]
    assert lines(out)[0]["message"].startswith("janus cloud listening at ws://")


def test_the_state_of_a_camera_is_in_fields_of_its_own(caplog):
    states = SourceStates("door", 0.0, 1.0, log_change)
    with caplog.at_level(logging.INFO):
        states.lost(1.0, f"cannot open {SECRET}")
    (record,) = caplog.records
    assert (record.source, record.state) == ("door", "connecting")
    line = JsonFormatter().format(record)
    assert json.loads(line)["message"] == "door: connecting: cannot open rtsp://***@host/cam?token=***"
    assert "hidden" not in line + TextFormatter().format(record)


def test_a_huge_message_is_cut_in_the_middle():
    message = json.loads(json_line("info", "x", "a" * 100_000 + "b"))["message"]
    assert len(message) < 20_000
    assert message.startswith("aaa")
    assert message.endswith("aab")


CRASHES = {
    "main": "raise ValueError(secret)",
    "thread": "threading.Thread(target=int, args=(secret,)).start()",
    "finalizer": "type('X', (), {'__del__': lambda self: int(secret)})()",
    "warning": "import warnings; warnings.warn(secret)",
    "loop": (
        "import anyio, asyncio\n"
        "async def fail(): raise ValueError(secret)\n"
        "async def run():\n"
        "    task = asyncio.ensure_future(fail())\n"
        "    await asyncio.sleep(0.01)\n"
        "    del task\n"
        "    import gc; gc.collect()\n"
        "from commands.runtime import run_async; run_async(run)"
    ),
}


@pytest.mark.parametrize("where", CRASHES)
def test_whatever_goes_wrong_wherever_is_one_object(where):
    code = (
        "import threading; from commands.runtime import set_up_logging; set_up_logging(0, 'json')\n"
        "secret = 'rtsp://me:hid' + 'den@host/cam'\n" + CRASHES[where]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, env=ENVIRONMENT
    )
    (line,) = lines(done.stderr)
    assert "rtsp://***@host/cam" in line["message"] + line.get("exception", "")
    assert "hidden" not in done.stderr
    assert done.returncode == (1 if where == "main" else 0)


def test_a_device_that_is_told_so_says_all_in_objects(tmp_path):
    config = tmp_path / "a.yaml"
    config.write_text(
        "log: json\nplan: {device_only: true}\nsources:\n  gone: rtsp://me:hidden@127.0.0.1:9/cam\n"
        "  film: pattern:motions?fps=100&clips=2\nmetrics: {port: 0}\nsla_ms: 60000\n"
    )
    process_lines = _device_lines(config)
    assert {"janus", "sources.live.make", "commands.stopping"} <= {line["logger"] for line in process_lines}
    gone = next(line for line in process_lines if line.get("source") == "gone")
    assert gone["level"] == "warning"
    assert "hidden" not in json.dumps(process_lines)


def _device_lines(config):
    process = start("device", "--config", config, "-o", "-")
    try:
        assert len([process.stdout.readline() for _ in range(2)]) == 2
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, error
    return lines(error)


@pytest.mark.parametrize(
    "verb", [("cloud", "--port", "0"), ("device", "--source", "missing.mp4", "--device-only")]
)
@pytest.mark.usefixtures("style")
def test_what_is_wrong_is_one_object(verb):
    arguments = (*verb, "--log", "json", *(("--model", "motion") if verb[0] == "cloud" else ()))
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "listening" in result.stdout) == (2, False)
    (line,) = lines(result.stderr)
    assert (line["level"], line["logger"]) == ("error", "janus")
