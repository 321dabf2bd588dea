import logging
import random
import threading

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import SourceError, StreamLost
from pipeline.items import Frame, SourceBreak
from sources.base import FrameGeometry
from sources.live.backoff import Backoff, Waits
from sources.live.intake import Intake
from sources.live.source import MOST_WAITING, LiveSource
from sources.live.states import SourceStates, State
from tests.sources.live.test_intake import live

SOON = Waits(0.001, 0.001, 0.001)


class Script:
    """Connections as lists of pictures' times, errors and calls; each error takes a second of the clock."""

    def __init__(self, *connections, waits=SOON, patience_s=None):
        self.connections = list(connections)
        self.made = 0
        self.threads = set()
        self.stop = threading.Event()
        self.clock = ManualClock(100.0)
        self.news = []
        self.states = SourceStates(
            "cam", 100.0, 60.0, lambda status, news: self.news.append((status.state, news))
        )
        self.source = LiveSource(
            "cam",
            connect=self.connect,
            intake=Intake("cam", FrameGeometry(8), self.states),
            states=self.states,
            backoff=Backoff(random.Random(1), waits),
            clock=self.clock,
            stop=self.stop,
            patience_s=patience_s,
        )

    def connect(self):
        self.made += 1
        began_at = self.clock.now()
        script = self.connections.pop(0) if self.connections else [StreamLost("cam", "nobody there")]
        for step in script:
            self.threads.add(threading.current_thread().name)
            if isinstance(step, BaseException):
                self.clock.advance(1.0)
                raise step
            if callable(step):
                step()
            else:
                self.clock.advance(max(0.0, began_at + step - self.clock.now()))
                yield live(int(step * 100) % 199, step, self.clock.now())


def steady(count, start=0.0):
    return [start + n / 25 for n in range(count)]


LOST = StreamLost("cam", "cut")


def shape(items):
    return [len(item.reason) and "break" if isinstance(item, SourceBreak) else "frame" for item in items]


def test_frames_go_on_over_connections_with_a_break_between_them():
    script = Script([*steady(10), LOST], [LOST], [*steady(5), LOST], steady(3))
    items = list(script.source.frames())
    assert shape(items) == ["frame"] * 10 + ["break"] + ["frame"] * 5 + ["break"] + ["frame"] * 3
    assert items[10] == SourceBreak("cam", "cut")
    assert [item.index for item in items if isinstance(item, Frame)] == list(range(18))
    times = [item.pts_s for item in items if isinstance(item, Frame)]
    assert times == sorted(set(times))
    assert times[10] == pytest.approx(times[9] + 2.0)
    assert script.made == 4
    status = script.source.status()
    assert (status.state, status.frames, status.reconnects) == (State.ENDED, 18, 2)
    assert status.jumps == 0


def test_a_stream_of_three_frames_gives_three():
    assert shape(Script(steady(3)).source.frames()) == ["frame"] * 3


def test_one_thread_of_its_own_makes_and_reads_every_connection():
    script = Script([*steady(10), LOST], steady(3))
    list(script.source.frames())
    assert script.threads == {"camera cam"}
    assert "camera cam" not in {thread.name for thread in threading.enumerate()}


def test_a_pause_within_a_connection_is_a_break():
    items = list(Script([*steady(10), 1.5, 1.54]).source.frames())
    assert shape(items) == ["frame"] * 10 + ["break"] + ["frame"] * 2
    assert items[10] == SourceBreak("cam", "no frame for 1.1 s")


def test_a_break_is_told_when_it_happens_not_with_the_next_frame():
    came = threading.Event()
    script = Script([*steady(10), LOST], [came.wait, *steady(1)])
    frames = script.source.frames()
    assert shape([next(frames) for _ in range(11)])[-1] == "break"
    came.set()
    assert isinstance(next(frames), Frame)


@pytest.mark.parametrize(("quiet_s", "kinds"), [(2.5, ["break", "frame"]), (1.5, ["frame"])])
def test_a_long_silence_is_a_break_before_it_ends_and_a_short_one_is_none(quiet_s, kinds):
    taken, came = threading.Event(), threading.Event()

    def silence():
        assert taken.wait(30)
        script.clock.advance(quiet_s)
        came.wait(1)

    script = Script([*steady(10), silence, steady(11)[-1]])
    frames = script.source.frames()
    assert shape([next(frames) for _ in range(10)]) == ["frame"] * 10
    taken.set()
    rest = []
    for item in frames:
        rest.append(item)
        came.set()
    assert shape(rest) == kinds
    if kinds[0] == "break":
        assert rest[0] == SourceBreak("cam", "no frame for 2.5 s")


def test_a_reader_that_is_slow_never_holds_up_the_camera_and_gets_the_newest():
    taken, read_all = threading.Event(), threading.Event()
    script = Script([*steady(9), lambda: taken.wait(30), *steady(300, 1.0), read_all.set])
    frames = script.source.frames()
    next(frames)
    taken.set()
    assert read_all.wait(30)
    items = list(frames)
    got = [item.index for item in items if isinstance(item, Frame)]
    assert got == list(range(309 - MOST_WAITING, 309))
    assert shape(items)[0] == "break"
    assert script.source.status().dropped == 309 - MOST_WAITING - 1


def test_a_camera_that_refuses_has_failed_until_it_gives_a_frame():
    script = Script([StreamLost("cam", "401", refused=True)], steady(3))
    list(script.source.frames())
    assert script.news[:2] == [(State.FAILED, "401"), (State.RUNNING, None)]


def test_it_gives_up_only_when_told_to():
    script = Script([*steady(3), 100.0, LOST], patience_s=5.5)
    items = []
    with pytest.raises(SourceError, match=r"cam: gave up after 5.5 s without a frame \(nobody there\)"):
        items.extend(script.source.frames())
    assert script.made == 6
    assert script.source.status().state is State.FAILED


def test_closing_ends_it_while_it_waits_for_the_next_connection():
    script = Script([LOST], waits=Waits(600.0, 600.0, 600.0))
    threading.Timer(0.1, script.source.close).start()
    assert list(script.source.frames()) == []
    assert script.source.status().state is State.ENDED


def test_closing_the_frames_ends_the_reading_thread():
    script = Script([*steady(10), lambda: script.stop.wait(30)])
    frames = script.source.frames()
    next(frames)
    frames.close()
    assert "camera cam" not in {thread.name for thread in threading.enumerate()}


def test_any_error_of_a_connection_is_its_loss_and_the_next_one_goes_on():
    script = Script([*steady(10), ZeroDivisionError("bug")], [OSError(95, "not supported")], steady(3))
    items = list(script.source.frames())
    assert shape(items) == ["frame"] * 10 + ["break"] + ["frame"] * 3
    assert (State.RECONNECTING, "ZeroDivisionError: bug") in script.news
    assert script.source.status().last_error == "OSError: not supported"


def test_what_ends_the_program_reaches_whoever_takes_the_frames():
    with pytest.raises(SystemExit):
        list(Script([*steady(3), SystemExit(3)]).source.frames())


def test_each_wait_is_told_before_it_begins(caplog):
    caplog.set_level(logging.INFO, "sources.live.source")
    script = Script([LOST], [*steady(3)], waits=Waits(0.25, 0.25, 0.25))
    waits = Backoff(random.Random(1), Waits(0.25, 0.25, 0.25))
    list(script.source.frames())
    told = [(record.getMessage(), record.source) for record in caplog.records]
    assert told == [(f"cam: next attempt in {waits.next_wait():.2f} s", "cam")]


def test_a_refusal_waits_longer_than_a_loss():
    script = Script([StreamLost("cam", "401", refused=True)], waits=Waits(0.001, 0.001, 600.0))
    threading.Timer(0.2, script.source.close).start()
    list(script.source.frames())
    assert script.made == 1


def test_only_a_connection_that_lasted_makes_the_next_wait_short_again():
    for seconds, longest in ((0.0, True), (6.0, False)):
        waits = Waits(0.001, 600.0, 600.0)
        script = Script([0.0, seconds, LOST], [*steady(3)], waits=waits)
        for _ in range(40):
            script.source._backoff.next_wait()
        timer = threading.Timer(0.5, script.source.close)
        timer.start()
        list(script.source.frames())
        timer.cancel()
        assert (script.made == 1) is longest
