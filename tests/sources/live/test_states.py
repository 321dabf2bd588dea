import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sources.live.states import SourceStates, State


def states(on_change=lambda status, news: None, stall_s=2.0):
    return SourceStates("door", 100.0, stall_s, on_change)


def test_it_is_not_running_before_the_first_frame():
    door = states()
    assert door.status(100.0).state is State.CONNECTING
    door.packet(101.0)
    assert door.status(101.0).state is State.CONNECTING
    door.frame(102.0)
    assert (door.status(102.0).state, door.status(102.0).since) == (State.RUNNING, 102.0)


def test_a_stall_is_a_matter_of_looking_at_the_time():
    door = states()
    door.frame(101.0)
    assert door.status(102.9).state is State.RUNNING
    stalled = door.status(103.0)
    assert (stalled.state, stalled.last_error) == (State.STALLED, "nothing came for 2 s")
    door.packet(103.5)
    assert door.status(103.5).state is State.RUNNING


def test_packets_without_a_picture_are_no_stall():
    door = states()
    door.frame(101.0)
    door.packet(102.5)
    assert door.status(104.0).state is State.RUNNING


def test_a_camera_that_is_down_at_boot_is_connecting_and_later_reconnecting():
    door = states()
    door.lost(101.0, "connection refused")
    assert (door.status(101.0).state, door.status(101.0).since) == (State.CONNECTING, 100.0)
    assert door.status(101.0).last_error == "connection refused"
    door.frame(102.0)
    door.lost(103.0, "broke off")
    assert door.status(103.0).state is State.RECONNECTING
    assert door.status(103.0).reconnects == 0
    door.frame(104.0)
    assert (door.status(104.0).state, door.status(104.0).reconnects) == (State.RUNNING, 1)


def test_one_that_refuses_us_has_failed_until_a_frame_comes():
    door = states()
    door.lost(101.0, "401", refused=True)
    assert door.status(101.0).state is State.FAILED
    door.frame(102.0)
    assert (door.status(102.0).state, door.status(102.0).reconnects) == (State.RUNNING, 0)


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (lambda door: door.gave_up(101.0, "for 10 s"), State.FAILED),
        (lambda door: door.ended(101.0), State.ENDED),
    ],
)
def test_nothing_moves_what_has_ended(end, state):
    door = states()
    end(door)
    door.frame(102.0)
    door.lost(103.0, "again")
    assert door.status(104.0).state is state


def test_every_change_and_every_new_error_is_told_once():
    heard = []
    door = states(lambda *change: heard.append(change))
    for now in range(5):
        door.lost(101.0 + now, "refused")
    door.lost(106.0, "timed out")
    door.frame(107.0)
    door.frame(108.0)
    door.warn(109.0, "the picture has not changed for 30 s")
    assert [(status.state, status.last_error, news) for status, news in heard] == [
        (State.CONNECTING, "refused", "refused"),
        (State.CONNECTING, "timed out", "timed out"),
        (State.RUNNING, "timed out", None),
        (State.RUNNING, "the picture has not changed for 30 s", "the picture has not changed for 30 s"),
    ]
    assert heard[-1][0].warnings == 1


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_no_error_holds_a_secret(password):
    heard = []
    door = states(lambda *change: heard.append(change))
    door.lost(101.0, f"cannot open rtsp://me:<{password}>@host/cam")
    assert f"<{password}>" not in f"{heard} {door.status(101.0)!r}"


class Life(RuleBasedStateMachine):
    """Whatever happens to a source, in whatever order, it stands where the last events put it."""

    def __init__(self):
        super().__init__()
        self.now, self.heard_at, self.came, self.linked, self.links = 0.0, 0.0, 0, False, 0
        self.states = SourceStates("door", self.now, 2.0)

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def frame(self):
        self.states.frame(self.now)
        self.links += not self.linked
        self.linked, self.came, self.heard_at = True, self.came + 1, self.now

    @precondition(lambda self: self.linked)
    @rule()
    def packet(self):
        self.states.packet(self.now)
        self.heard_at = self.now

    @rule(refused=st.booleans())
    def lose(self, refused):
        self.states.lost(self.now, "gone", refused)
        self.linked = False
        self.expected = State.FAILED if refused else None

    @invariant()
    def it_stands_where_it_should(self):
        status = self.states.status(self.now)
        assert status.frames == self.came
        assert status.reconnects == max(0, self.links - 1)
        assert status.since <= self.now
        if self.linked:
            silent = self.now - self.heard_at >= 2.0
            assert status.state is (State.STALLED if silent else State.RUNNING)
        else:
            unlinked = State.RECONNECTING if self.links else State.CONNECTING
            assert status.state is (getattr(self, "expected", None) or unlinked)


TestLife = Life.TestCase
