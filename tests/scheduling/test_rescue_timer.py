import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.rescue import LocalFinishes
from scheduling.rescue_timer import SPARE_S, RescueTimer
from tests.scheduling.machines import NUM_LAYERS, NUM_TOKENS, make_device

FINISHES = LocalFinishes(make_device())
MARGIN_MS = 5.0
CLIPS = st.lists(
    st.tuples(st.integers(0, NUM_LAYERS), st.integers(2, NUM_TOKENS), st.floats(1.0, 10.0)),
    min_size=1,
    max_size=6,
)


def timer_of(clips, finishes=FINISHES):
    timer = RescueTimer(finishes, MARGIN_MS)
    for index, (split, tokens, deadline) in enumerate(clips):
        timer.keep(str(index), split, tokens, deadline)
    return timer


@given(CLIPS, st.floats(0.5, 4.0), st.floats(0, 50))
def test_whoever_begins_when_told_to_is_in_time_with_every_clip(clips, factor, ahead_ms):
    timer, now = timer_of(clips), -math.inf
    while (due := timer.next_due(factor, ahead_ms)) is not None:
        clip_id, start = due
        split, tokens, deadline = clips[int(clip_id)]
        now = max(now, start + ahead_ms / 1000)
        timer.forget(clip_id)
        now += FINISHES.fastest_ms(split, tokens) * factor / 1000
        assert now <= deadline - MARGIN_MS / 1000 + 1e-6


@given(CLIPS, st.floats(0.5, 4.0))
def test_with_time_to_spare_it_merges_less_and_still_all_are_in_time(clips, factor):
    timer, now = timer_of(clips), -100.0
    order = sorted(range(len(clips)), key=lambda index: clips[index][2])
    for index in order:
        split, tokens, deadline = clips[index]
        way = timer.way(str(index), now, factor)
        assert way.ms >= FINISHES.fastest_ms(split, tokens)
        timer.forget(str(index))
        now += way.ms * factor / 1000
        assert now <= deadline - MARGIN_MS / 1000 + 1e-6


@given(CLIPS, st.floats(0.5, 4.0), st.floats(0, 50), st.floats(0.0, 11.0))
def test_overdue_clips_are_all_in_time_however_lightly_each_is_finished(clips, factor, ahead_ms, overdue_at):
    timer, now = RescueTimer(FINISHES, MARGIN_MS), -math.inf
    for index, (split, tokens, deadline) in enumerate(clips):
        timer.keep(str(index), split, tokens, deadline, overdue_at)
    while (due := timer.next_due(factor, ahead_ms)) is not None:
        clip_id, start = due
        now = max(now, start + ahead_ms / 1000)
        now += timer.way(clip_id, now, factor).ms * factor / 1000
        timer.forget(clip_id)
        assert now <= clips[int(clip_id)][2] - MARGIN_MS / 1000 + 1e-6


@pytest.mark.parametrize(("overdue_at", "hurry"), [(0.0, False), (math.inf, True)])
def test_only_an_overdue_clip_is_begun_while_there_is_time_for_its_lightest_way(overdue_at, hurry):
    timer = RescueTimer(FINISHES, MARGIN_MS)
    timer.keep("a", 4, 60, 9.0, overdue_at)
    timer.keep("b", 4, 60, 9.0, overdue_at)
    lightest, fastest = FINISHES.after(4, 60)[0], FINISHES.fastest_ms(4, 60) / 1000
    last_moment = 9.0 - MARGIN_MS / 1000 - 2 * fastest
    clip_id, start = timer.next_due(1.0)
    assert clip_id == "a"
    if hurry:
        assert start == pytest.approx(last_moment)
    else:
        assert start == pytest.approx(last_moment + fastest - lightest.ms / 1000 - SPARE_S)
        assert timer.way("a", start + SPARE_S / 2, 1.0) == lightest


def test_a_clip_is_overdue_from_then_on_and_not_before():
    timer, last_moment = (
        RescueTimer(FINISHES, MARGIN_MS),
        9.0 - (MARGIN_MS + FINISHES.fastest_ms(4, 60)) / 1000,
    )
    timer.keep("a", 4, 60, 9.0, last_moment - 0.015)
    assert timer.next_due(1.0, 10.0) == ("a", last_moment - 0.015)
    assert timer.next_due(1.0, 20.0) == ("a", pytest.approx(last_moment - 0.020)), (
        "to the last moment at most"
    )


def test_the_lightest_way_is_taken_that_fits():
    timer = timer_of([(4, 60, 9.0)])
    assert timer.way("0", 0.0, 1.0) == FINISHES.after(4, 60)[0]
    late = timer.way("0", 8.99, 1.0)
    assert late.ms == FINISHES.fastest_ms(4, 60)


def test_a_lost_link_makes_clips_due_at_once_the_most_urgent_first():
    timer = timer_of([(4, 60, 9.0), (4, 60, 7.0), (0, 60, 8.0)])
    assert timer.next_due(1.0)[1] > 0
    timer.lose("2")
    assert timer.next_due(1.0) == ("2", -math.inf)
    timer.lose()
    assert [timer.next_due(1.0)[0], timer.forget("1"), timer.next_due(1.0)[0]] == ["1", None, "2"]
    timer.keep("later", 4, 60, 9.5)
    timer.forget("2")
    timer.forget("0")
    assert timer.next_due(1.0)[1] > 0, "a clip that left afterwards is not lost"


@pytest.mark.parametrize("deadline", [5.0, math.inf])
def test_where_nothing_is_known_or_promised_only_a_lost_link_is_a_reason(deadline):
    timer = timer_of([(4, 60, deadline)], FINISHES if deadline == math.inf else None)
    assert timer.next_due(1.0) is None
    timer.lose()
    assert timer.next_due(1.0) == ("0", -math.inf)
    assert timer.way("0", 0.0, 1.0) is None


def test_what_is_over_is_forgotten():
    timer = timer_of([(4, 60, 5.0)])
    assert "0" in timer
    timer.forget("0")
    timer.forget("0")
    assert "0" not in timer
    assert timer.next_due(1.0) is None
