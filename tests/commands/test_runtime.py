import asyncio
import logging
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

import anyio
import pytest
import uvloop

from commands.runtime import complain, guarded, run_async, set_up_logging
from pipeline.errors import ConfigError, JanusError, LinkLost, SinkError


@pytest.mark.parametrize("status", [0, 1])
def test_work_that_ends_gives_its_own_status_and_says_nothing(status, capsys):
    assert guarded(lambda: status) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [JanusError, ConfigError, SinkError, LinkLost])
def test_an_error_for_the_user_is_one_line_and_status_2(kind, capsys):
    def work():
        raise kind("cam.mp4:\n  no such   file")

    assert guarded(work) == 2
    assert capsys.readouterr() == ("", "janus: cam.mp4: no such file\n")


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("told", "line"), [((), "interrupted"), (("go on with --resume",), "go on with --resume")]
)
def test_ctrl_c_is_one_line_and_status_130(told, line, capsys):
    def work():
        raise KeyboardInterrupt

    assert guarded(work, *told) == 130
    assert capsys.readouterr().err == f"janus: {line}\n"


def test_ctrl_c_in_the_middle_of_the_event_loop_ends_what_runs_in_order(capsys):
    ended = []

    async def main():
        try:
            signal.raise_signal(signal.SIGINT)
            with anyio.fail_after(10):
                await anyio.sleep_forever()
        finally:
            ended.append(True)

    assert guarded(lambda: run_async(main)) == 130
    assert ended == [True]
    assert capsys.readouterr().err == "janus: interrupted\n"


def test_the_event_loop_is_uvloops_and_gives_back_what_the_work_returns():
    async def main():
        return type(asyncio.get_running_loop())

    assert run_async(main) is uvloop.Loop


def test_an_error_in_the_event_loop_comes_out_as_itself():
    async def main():
        raise ConfigError("wrong")

    with pytest.raises(ConfigError, match="wrong"):
        run_async(main)


def test_a_complaint_is_one_line_whatever_it_is_about(capsys):
    complain("two\nlines  and\ta tab")
    assert capsys.readouterr() == ("", "janus: two lines and a tab\n")


@contextmanager
def logging_of_a_new_process():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks


@pytest.mark.parametrize(
    ("verbose", "told"),
    [(0, ["odd"]), (1, ["odd", "news"]), *((v, ["odd", "news", "detail"]) for v in (2, 5))],
)
def test_more_v_say_more(verbose, told, capsys):
    with logging_of_a_new_process():
        set_up_logging(verbose)
        logger = logging.getLogger("transport.server")
        logger.warning("odd")
        logger.info("news")
        logger.debug("detail")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in lines] == told
    assert all("transport.server:" in line for line in lines)
