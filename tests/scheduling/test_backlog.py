from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Plan
from scheduling.backlog import QUEUE_MEMORY_S, Backlog, Waits
from scheduling.pruning import none

NAMES = [f"clip {number}" for number in range(4)]
STEPS = ("planned", "head_done", "uploaded", "answered")


def make_plan(head_ms=0.0, transfer_ms=0.0, tail_ms=0.0, encode_ms=0.0, half_rtt_ms=15.0):
    """A plan that keeps the device, then the link, then the cloud busy for so long."""
    expected_ms = {"head": head_ms, "total": head_ms + transfer_ms}
    if transfer_ms:
        expected_ms |= {
            "encode": encode_ms,
            "tail": tail_ms,
            "uplink": transfer_ms + half_rtt_ms,
            "downlink": half_rtt_ms,
        }
    return Plan(none(6, 101), 3 if transfer_ms else 7, "int8", expected_ms)


def make_pixels(transfer_ms, tail_ms=0.0, encode_ms=0.0):
    """A plan for which the device's model has nothing to do."""
    plan = make_plan(0.0, transfer_ms, tail_ms, encode_ms)
    return replace(plan, split=0)


PLANS = st.builds(
    make_plan, st.floats(0, 500), st.just(0.0) | st.floats(1, 500), st.floats(0, 500)
) | st.builds(make_pixels, st.floats(1, 500), st.floats(0, 500))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(STEPS), st.sampled_from(NAMES), PLANS, st.none() | st.floats(0, 500), st.floats(0, 5)
    ),
    max_size=30,
)


def tell(backlog, step, name, plan, queue_ms, now):
    match step:
        case "planned":
            backlog.planned(name, plan, now)
        case "answered":
            backlog.answered(name, queue_ms, now)
        case _:
            getattr(backlog, step)(name, now)


def parts(waits):
    return waits.device_ms, waits.link_ms, waits.cloud_ms


def at_most(some, others):
    """Whether device, link and cloud are free no later; the cloud's wait counts from when the link is."""
    free = [(w.device_ms, w.link_ms, w.link_ms + w.cloud_ms) for w in (some, others)]
    return all(part <= other + 1e-6 for part, other in zip(*free, strict=True))


def in_order(plans):
    """A backlog in which each clip is one step behind the one before it, at time 10."""
    backlog = Backlog()
    for number, plan in enumerate(plans):
        backlog.planned(NAMES[number], plan, 10.0)
    return backlog


@given(EVENTS)
def test_waits_are_never_negative_and_shrink_with_time_whatever_is_heard_and_when(events):
    backlog, now = Backlog(), 100.0
    for step, name, plan, queue_ms, seconds in events:
        before = backlog.waits(now)
        assert min(parts(before)) >= 0
        now += seconds
        assert at_most(backlog.waits(now), before)
        tell(backlog, step, name, plan, queue_ms, now)
    for name in NAMES:
        backlog.answered(name, None, now)
    assert parts(backlog.waits(now))[:2] == (0, 0)


@given(st.lists(PLANS, max_size=4))
def test_each_clip_that_is_planned_makes_the_next_one_wait_longer(plans):
    waits = [in_order(plans[:count]).waits(10.0) for count in range(len(plans) + 1)]
    for plan, before, after in zip(plans, waits, waits[1:], strict=False):
        assert at_most(before, after)
        assert after.device_ms == pytest.approx(before.device_ms + plan.expected_ms["head"])


@given(st.lists(PLANS, min_size=1, max_size=4))
def test_every_step_of_the_clip_in_front_shortens_the_wait(plans):
    backlog, now = in_order(plans), 10.0
    for step in STEPS[1:]:
        for name, plan in zip(NAMES, plans, strict=False):
            before = backlog.waits(now)
            tell(backlog, step, name, plan, None, now)
            assert at_most(backlog.waits(now), before)
    assert backlog.waits(now) == Waits()


def test_the_device_and_then_the_link_work_on_one_clip_after_the_other():
    backlog = in_order([make_plan(100, 50), make_plan(200, 30)])
    # The second leaves the device after 300 ms, when the first has long been sent.
    assert backlog.waits(10.0) == Waits(pytest.approx(300), pytest.approx(330))
    assert backlog.waits(10.06) == Waits(pytest.approx(240), pytest.approx(270))
    backlog.head_done(NAMES[0], 10.1)
    assert backlog.waits(10.12) == Waits(pytest.approx(180), pytest.approx(210))
    backlog.uploaded(NAMES[0], 10.15)
    backlog.head_done(NAMES[1], 10.3)
    assert backlog.waits(10.31) == Waits(0, pytest.approx(20))


def test_clips_queue_for_a_link_that_is_slower_than_the_device():
    backlog = in_order([make_plan(10, 500), make_plan(10, 500)])
    assert backlog.waits(10.0) == Waits(pytest.approx(20), pytest.approx(1010))
    backlog.head_done(NAMES[0], 10.01)
    backlog.head_done(NAMES[1], 10.02)
    assert backlog.waits(10.11).link_ms == pytest.approx(900)
    backlog.uploaded(NAMES[0], 10.51)
    assert backlog.waits(10.61).link_ms == pytest.approx(400)


def test_encoding_keeps_the_device_busy_and_the_way_of_the_acknowledgement_nobody():
    backlog = in_order([make_plan(100, 50, encode_ms=20, half_rtt_ms=40)])
    assert backlog.waits(10.0) == Waits(pytest.approx(120), pytest.approx(170))


def test_a_clip_that_stays_on_the_device_does_not_hold_the_link_up():
    backlog = in_order([make_plan(0, 50), make_plan(400)])
    backlog.head_done(NAMES[0], 10.0)
    assert backlog.waits(10.0) == Waits(pytest.approx(400), pytest.approx(50))
    backlog.head_done(NAMES[1], 10.4)
    backlog.uploaded(NAMES[0], 10.4)
    backlog.planned(NAMES[2], make_plan(0, 80), 10.6)
    backlog.head_done(NAMES[2], 10.6)
    assert backlog.waits(10.65) == Waits(0, pytest.approx(30))


def test_a_part_that_takes_longer_than_expected_does_not_shorten_the_others():
    backlog = in_order([make_plan(100, 50), make_plan(200)])
    assert backlog.waits(15.0).device_ms == pytest.approx(200)
    backlog.head_done(NAMES[0], 15.0)
    assert backlog.waits(20.0).link_ms == 0


def test_the_wait_in_the_cloud_follows_what_its_answers_say():
    backlog, seen = Backlog(), []
    for number, queue_ms in enumerate([100.0, 100.0, 0.0, 0.0, None]):
        backlog.planned(NAMES[0], make_plan(0, 1), number)
        backlog.uploaded(NAMES[0], number)
        backlog.answered(NAMES[0], queue_ms, number)
        seen.append(backlog.waits(number).cloud_ms)
    assert seen == pytest.approx([100, 100, 70, 49, 49])


def test_a_queue_in_the_cloud_is_forgotten_when_nobody_joins_it():
    backlog = in_order([make_plan(0, 1)])
    backlog.uploaded(NAMES[0], 10.0)
    backlog.answered(NAMES[0], 5000.0, 10.0)
    assert backlog.waits(10.0 + QUEUE_MEMORY_S).cloud_ms == 5000
    backlog.uploaded("a probe", 12.0)
    assert backlog.waits(10.1 + QUEUE_MEMORY_S).cloud_ms == 0
    backlog.planned(NAMES[1], make_plan(0, 1), 20.0)
    backlog.uploaded(NAMES[1], 20.0)
    assert backlog.waits(20.0).cloud_ms == 0
    backlog.answered(NAMES[1], 10.0, 20.0)
    assert backlog.waits(20.0).cloud_ms == 10


def test_clips_of_ones_own_queue_in_the_cloud_too():
    backlog = in_order([make_plan(0, 10, tail_ms=200), make_plan(0, 10, tail_ms=200)])
    # Sent after 10 and 20 ms, run until 210 and 410: a third one, sent from 20 ms on, waits 390.
    assert backlog.waits(10.0) == Waits(0, pytest.approx(20), pytest.approx(390))
    for number, name in enumerate(NAMES[:2], 1):
        backlog.head_done(name, 10.0)
        backlog.uploaded(name, 10.0 + 0.01 * number)
    assert backlog.waits(10.11) == Waits(0, 0, pytest.approx(300))
    backlog.answered(NAMES[0], None, 10.21)
    assert backlog.waits(10.26).cloud_ms == pytest.approx(150)
    backlog.answered(NAMES[1], None, 10.41)
    assert backlog.waits(10.41) == Waits()


def test_pixels_pass_by_the_clips_that_wait_for_the_model():
    backlog = in_order([make_plan(300), make_pixels(50, encode_ms=10)])
    assert backlog.waits(10.0) == Waits(pytest.approx(300), pytest.approx(60))
    backlog.head_done(NAMES[1], 10.01)
    assert backlog.waits(10.03) == Waits(pytest.approx(270), pytest.approx(30))
    assert backlog.longest_head_ms() == 300


def test_a_clip_that_leaves_the_model_stands_behind_the_pixels_that_left_before():
    backlog = in_order([make_plan(100, 40), make_pixels(200)])
    assert backlog.waits(10.0).link_ms == pytest.approx(240)
    backlog.head_done(NAMES[1], 10.0)
    backlog.head_done(NAMES[0], 10.1)
    assert backlog.waits(10.15) == Waits(0, pytest.approx(90))
    backlog.uploaded(NAMES[1], 10.2)
    assert backlog.waits(10.21).link_ms == pytest.approx(30)


def test_a_rescue_holds_the_model_until_it_is_over_whoever_answers():
    backlog = in_order([make_pixels(50)])
    backlog.head_done(NAMES[0], 10.0)
    backlog.rescued(NAMES[0], 200.0, 10.1)
    backlog.planned(NAMES[1], make_plan(100), 10.1)
    assert backlog.waits(10.15).device_ms == pytest.approx(250)
    assert backlog.waits(10.5).device_ms == pytest.approx(100)
    backlog.answered(NAMES[0], 3.0, 10.2)
    assert backlog.waits(10.25).device_ms == pytest.approx(150)
    backlog.rescue_over(NAMES[0], 10.35)
    assert backlog.waits(10.40).device_ms == pytest.approx(50)
    backlog.rescue_over(NAMES[0], 10.40)
    assert backlog.waits(10.41).device_ms == pytest.approx(40)


def test_a_rescue_behind_a_clip_waits_for_what_is_left_of_it():
    backlog = in_order([make_plan(100)])
    backlog.rescued("out", 200.0, 10.06)
    assert backlog.waits(10.06).device_ms == pytest.approx(240)
