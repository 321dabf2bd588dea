"""Every clip is decided once, in time, with what is in, whatever the order of answers and losses."""

import math

from hypothesis import given
from hypothesis import strategies as st

from scheduling.gathering import Gathering, Peak

PARTS = range(4)
SECONDS = st.floats(0, 1, allow_nan=False)
ANSWER_S = 5.0


def prompt(*parts: int) -> dict[int, bool]:
    return dict.fromkeys(parts, True)


def due(gathering: Gathering, now: float) -> list[tuple[str, tuple[int, ...]]]:
    """Decide all whose time has come."""
    decided = []
    while (following := gathering.next_due()) is not None and following[1] <= now:
        decided.append((following[0], gathering.decide(following[0])))
    return decided


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("begin"),
            st.dictionaries(st.sampled_from(PARTS), st.booleans()),
            st.one_of(st.just(math.inf), SECONDS),
        ),
        st.tuples(st.just("arrived"), st.integers(0, 7), st.sampled_from(PARTS)),
        st.tuples(st.just("missing"), st.integers(0, 7), st.sampled_from(PARTS)),
        st.tuples(st.just("pass"), SECONDS, st.none()),
        st.tuples(st.just("fused"), st.floats(0, 0.1), st.none()),
        st.tuples(st.just("end"), SECONDS, st.none()),
    ),
    max_size=60,
)


@given(events=EVENTS)
def test_every_clip_has_one_outcome_of_what_came_before_it_and_none_waits_beyond_its_time(events):
    gathering, now = Gathering(ANSWER_S, margin_s=0.01), 0.0
    limits: dict[str, tuple[float, float]] = {}
    taken: dict[str, set[int]] = {}
    outcomes: dict[str, tuple[int, ...]] = {}
    for kind, first, second in events:
        match kind:
            case "begin":
                clip = f"clip {len(taken)}"
                gathering.begin(clip, first, now, now + second)
                limits[clip], taken[clip] = (now, now + min(second, ANSWER_S)), set()
            case "arrived":
                clip = f"clip {first}"
                in_time = gathering.arrived(clip, second)
                assert in_time == (clip in taken and clip not in outcomes and second not in taken[clip])
                if in_time:
                    taken[clip].add(second)
            case "missing":
                gathering.missing(f"clip {first}", second)
            case "pass":
                now += first
            case "fused":
                gathering.fused(first)
            case "end":
                gathering.end_by(now, now + first)
        for clip, parts in due(gathering, now):
            assert clip not in outcomes
            outcomes[clip] = parts
            assert set(parts) == taken[clip]
        for clip in taken.keys() - outcomes.keys():
            began, limit = limits[clip]
            assert limit - min(gathering.lead_s, (limit - began) / 2) > now
    decided = due(gathering, math.inf)
    assert {clip for clip, _ in decided} | outcomes.keys() == taken.keys()
    assert len(decided) + len(outcomes) == len(taken)
    assert len(gathering) == 0


@given(order=st.permutations(list(PARTS)), late=st.integers(0, 3))
def test_a_clip_is_decided_with_the_last_part_that_it_waits_for_and_not_before(order, late):
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", prompt(*PARTS), 0.0, 1.0)
    *first, last = order
    for count, part in enumerate(first):
        assert due(gathering, 0.5) == []
        if count == late:
            gathering.missing("a", part)
        else:
            assert gathering.arrived("a", part)
    gathering.arrived("a", last)
    missing = {order[late]} - {last}
    assert due(gathering, 0.5) == [("a", tuple(sorted(set(PARTS) - missing)))]


def test_at_the_deadline_less_what_the_fusion_takes_a_clip_goes_on_with_what_is_in():
    gathering = Gathering(ANSWER_S, margin_s=0.01)
    gathering.fused(0.02)
    gathering.ran_here(0.1)
    gathering.begin("a", prompt(*PARTS), 0.0, 1.0)
    gathering.arrived("a", 2)
    assert gathering.next_due() == ("a", 1.0 - 0.13)
    assert due(gathering, 0.869) == []
    assert due(gathering, 0.871) == [("a", (2,))]
    assert not gathering.arrived("a", 1)


def test_an_answer_counts_once():
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", prompt(0, 1), 0.0)
    assert gathering.arrived("a", 1)
    assert not gathering.arrived("a", 1)
    assert not gathering.arrived("b", 1)


def test_a_fusion_that_once_took_for_ever_leaves_every_clip_half_of_its_time_and_is_forgotten():
    gathering = Gathering(ANSWER_S)
    gathering.fused(60.0)
    for count in range(400):
        gathering.begin("a", prompt(0), float(count), count + 0.5)
        assert due(gathering, count + 0.2499) == []
        gathering.arrived("a", 0)
        assert due(gathering, count + 0.2499) == [("a", (0,))]
        gathering.fused(0.001)
    gathering.begin("a", prompt(0), 0.0, 0.5)
    assert due(gathering, 0.4) == []


def test_without_a_promise_a_clip_waits_as_long_as_a_link_may_be_silent():
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", prompt(0, 1), 10.0)
    assert due(gathering, 10.0 + ANSWER_S - 0.001) == []
    assert due(gathering, 10.0 + ANSWER_S) == [("a", ())]


def test_a_clip_that_finds_no_part_is_decided_at_once():
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", {}, 0.0, 1.0)
    assert due(gathering, 0.0) == [("a", ())]


def test_a_part_that_is_behind_holds_up_nobody_and_still_counts_if_it_answers_in_time():
    gathering = Gathering(ANSWER_S)
    for clip in "ab":
        gathering.begin(clip, {0: True, 1: False}, 0.0, 1.0)
    gathering.arrived("b", 1)
    for clip in "ab":
        gathering.arrived(clip, 0)
    assert due(gathering, 0.0) == [("a", (0,)), ("b", (0, 1))]


def test_a_part_that_one_clip_waited_for_in_vain_holds_up_no_other_that_has_another_part():
    gathering = Gathering(ANSWER_S, margin_s=0.0)
    for clip, deadline in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        gathering.begin(clip, prompt(0, 1), 0.0, deadline)
    for clip in "ab":
        gathering.arrived(clip, 0)
    assert due(gathering, 1.0) == [("a", (0,)), ("b", (0,))]
    gathering.missing("c", 0)
    assert due(gathering, 2.9) == []
    gathering.arrived("c", 1)
    assert due(gathering, 2.9) == [("c", (1,))]


def test_a_clip_that_has_nothing_waits_for_who_is_behind_until_its_deadline():
    gathering = Gathering(ANSWER_S, margin_s=0.0)
    gathering.begin("a", {0: True, 1: False}, 0.0, 1.0)
    gathering.missing("a", 0)
    assert due(gathering, 0.9) == []
    assert due(gathering, 1.0) == [("a", ())]
    gathering.begin("b", {0: True, 1: False}, 0.0, 1.0)
    gathering.missing("b", 0)
    gathering.missing("b", 1)
    assert due(gathering, 0.0) == [("b", ())]


def test_when_the_run_is_to_end_what_has_an_answer_is_decided_at_once_and_what_has_none_waits_for_its_first():
    gathering = Gathering(ANSWER_S)
    for clip in "abc":
        gathering.begin(clip, prompt(0), 0.0)
    gathering.begin("d", prompt(0, 1), 0.0)
    gathering.arrived("d", 0)
    gathering.end_by(1.0, 2.0)
    assert due(gathering, 1.0) == [("d", (0,))]
    gathering.arrived("a", 0)
    assert due(gathering, 1.0) == [("a", (0,))]
    gathering.missing("b", 0)
    assert due(gathering, 1.0) == [("b", ())]
    assert due(gathering, 4.9) == []


def test_what_has_its_first_answer_after_that_waits_for_the_others_for_half_of_the_time_that_is_left():
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", prompt(0, 1), 0.0)
    gathering.end_by(1.0, 2.0)
    gathering.begin("b", prompt(0, 2), 1.0)
    gathering.begin("c", prompt(0, 3), 1.0, 1.2)
    for clip in "abc":
        gathering.arrived(clip, 0)
    assert due(gathering, 1.1) == []
    assert due(gathering, 1.2) == [("c", (0,))]
    gathering.arrived("b", 2)
    assert due(gathering, 1.2) == [("b", (0, 2))]
    gathering.begin("d", prompt(0, 1), 1.4)
    gathering.arrived("d", 0)
    assert due(gathering, 1.49) == []
    assert due(gathering, 1.5) == [("a", (0,)), ("d", (0,))]
    gathering.begin("e", prompt(0, 1), 1.6)
    gathering.arrived("e", 0)
    assert due(gathering, 1.79) == []
    assert due(gathering, 1.81) == [("e", (0,))]


def test_where_all_are_behind_all_are_waited_for():
    gathering = Gathering(ANSWER_S)
    gathering.begin("a", {0: False, 1: False}, 0.0, 1.0)
    gathering.arrived("a", 0)
    assert due(gathering, 0.5) == []
    gathering.arrived("a", 1)
    assert due(gathering, 0.5) == [("a", (0, 1))]


def test_a_clip_is_hopeless_when_less_time_is_left_than_the_first_answers_took_lately():
    gathering = Gathering(ANSWER_S, margin_s=0.0)
    assert not gathering.hopeless(0.0, 0.01)
    for _ in range(50):
        gathering.first_in(0.2)
    assert not gathering.hopeless(1.0, 1.21)
    assert not gathering.hopeless(1.0, math.inf)
    assert gathering.hopeless(1.0, 1.15)
    gathering.fused(0.1)
    assert gathering.hopeless(1.0, 1.21)


def test_after_enough_hopeless_clips_one_is_tried_again():
    gathering = Gathering(ANSWER_S, margin_s=0.0)
    gathering.first_in(5.0)
    gathering.fused(60.0)
    gathering.ran_here(60.0)
    said = [gathering.hopeless(0.0, 0.1) for _ in range(100)]
    assert said[0] and not said[-1]


@given(values=st.lists(st.floats(0, 100), min_size=1))
def test_a_peak_is_no_less_than_its_last_value_and_no_more_than_the_largest(values):
    peak = Peak()
    for value in values:
        peak.add(value)
    assert values[-1] <= peak.value <= max(values)


def test_a_peak_is_forgotten_in_time():
    peak = Peak()
    peak.add(1.0)
    for _ in range(200):
        peak.add(0.1)
    assert peak.value == 0.1
