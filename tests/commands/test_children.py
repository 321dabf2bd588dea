import os
import re
import signal
import threading
import time

import pytest

from commands import children as module
from commands.children import Child, Children
from pipeline.errors import JanusError

LINK = ("link", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9", "--mbps", "1")
LISTENS = re.compile(r"listening at \S+")


def alive(children):
    return [child.status is None for child in children]


def test_they_end_in_order_the_last_first_each_before_the_next(monkeypatch):
    ended, end = [], Child.end

    def told(self, grace_s):
        assert alive(children) == [True] * (2 - len(ended)) + [False] * len(ended)
        end(self, grace_s)
        ended.append(self)

    monkeypatch.setattr(Child, "end", told)
    with Children() as children:
        first, second = children.start(*LINK), children.start(*LINK)
        for child in children:
            assert child.address(LISTENS).startswith("listening at 127.0.0.1:")
    assert ended == [second, first]
    assert [child.status for child in children] == [0, 0]


def test_one_that_does_not_end_is_killed_after_the_grace():
    with Children(grace_s=0.2) as children:
        child = children.start(*LINK)
        child.address(LISTENS)
        os.kill(child._process.pid, signal.SIGSTOP)
    assert child.status == -signal.SIGKILL


def test_one_that_ends_before_it_listens_is_said(capfd):
    with Children() as children, pytest.raises(JanusError, match="the link process ended before it listened"):
        children.start("link", "--listen", "nowhere", "--to", "127.0.0.1:9", "--mbps", "1").address(LISTENS)
    assert "nowhere" in capfd.readouterr().err


@pytest.mark.parametrize("number", module.ENDINGS)
def test_a_signal_is_an_interrupt_once_and_the_handlers_come_back(number):
    before = [signal.getsignal(each) for each in module.ENDINGS]
    with pytest.raises(KeyboardInterrupt), Children() as children:
        children.start(*LINK).address(LISTENS)
        signal.raise_signal(number)
    assert alive(children) == [False]
    assert [signal.getsignal(each) for each in module.ENDINGS] == before


def test_a_signal_while_one_is_started_leaves_nothing_behind(monkeypatch):
    made = []

    class Slow(Child):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(module, "Child", Slow)
    with pytest.raises(KeyboardInterrupt), Children() as children:
        children.start(*LINK)
    assert len(made) == 1
    assert made[0].status is not None


def test_a_second_signal_kills_what_still_ends():
    with Children(grace_s=60) as children:
        child = children.start(*LINK)
        child.address(LISTENS)
        os.kill(child._process.pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
    assert child.status == -signal.SIGKILL
    assert time.monotonic() - began < 30
