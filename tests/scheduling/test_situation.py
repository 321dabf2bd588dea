from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Moment, Plan, Pruning
from scheduling.link import LinkRules, LinkTracker
from scheduling.situation import UPLOADS_REMEMBERED, Situation

PLAN = Plan(
    Pruning("none", 0.0, (0,) * 6),
    3,
    "int8",
    expected_ms={"head": 80.0, "uplink": 60.0, "tail": 25.0, "downlink": 10.0, "total": 175.0},
    expected_bytes=20_000.0,
    moment=Moment(rtt_ms=20.0),
)


def plan_at(device: float = 1.0, cloud: float = 1.0) -> Plan:
    """A plan made while the machines were so many times slower than their profiles."""
    expected_ms = PLAN.expected_ms | {"head": 80.0 * device, "tail": 25.0 * cloud}
    return replace(PLAN, expected_ms=expected_ms, moment=Moment(device_factor=device, cloud_factor=cloud))


def test_before_anything_is_heard_there_is_a_prior_and_nothing_to_wait_for() -> None:
    situation = Situation(LinkTracker(LinkRules(prior_mbps=7.0, prior_rtt_ms=30.0)))
    assert situation.moment(deadline=2.5, now=2.0) == Moment(budget_ms=500.0, mbps=7.0, rtt_ms=30.0)


@given(deadline=st.floats(0, 1e6), now=st.floats(0, 1e6))
def test_the_budget_is_what_is_left_until_the_deadline(deadline: float, now: float) -> None:
    assert Situation().moment(deadline, now).budget_ms == pytest.approx((deadline - now) * 1000)
    assert Situation().moment(float("inf"), now).budget_ms == float("inf")


def test_a_clip_is_followed_from_its_plan_to_its_answer() -> None:
    situation = Situation()
    situation.link_up(0.02, 0.0)
    situation.planned("a", PLAN, 0.0)
    assert situation.moment(9.0, 0.03).device_wait_ms == pytest.approx(50)
    situation.head_done("a", PLAN, 80.0, 0.08)
    sending = situation.moment(9.0, 0.08)
    assert (sending.device_wait_ms, sending.link_wait_ms) == (0.0, pytest.approx(50))
    situation.sent("a", 20_000, 0.08)
    situation.acknowledged("a", 0.18)
    crossed = situation.moment(9.0, 0.18)
    assert (crossed.link_wait_ms, crossed.mbps) == (0.0, pytest.approx(20_000 * 8 / 80_000))
    situation.answered("a", PLAN, {"queue": 40.0, "decode": 1.0, "tail": 25.0}, 0.2)
    assert situation.moment(9.0, 0.2).cloud_wait_ms > 0
    assert situation.upload_ms("a") == pytest.approx(100)


def test_the_link_comes_and_goes() -> None:
    situation = Situation()
    situation.link_up(0.02, 0.0)
    situation.sent("a", 20_000, 0.0)
    situation.link_down()
    down = situation.moment(9.0, 50.0)
    assert not down.connected
    assert not situation.estimate(50.0).connected
    assert down.mbps == pytest.approx(10.0), "what was under way when the link went tells nothing"
    situation.link_up(0.3, 60.0)
    up = situation.moment(99.0, 60.0)
    assert (up.connected, up.rtt_ms) == (True, pytest.approx(160))
    for _ in range(9):
        situation.round_trip(0.5, 61.0)
    assert situation.moment(99.0, 61.0).rtt_ms == pytest.approx(500)


@given(at=st.floats(0.3, 4), slower=st.floats(0.3, 4))
def test_machines_are_held_against_their_profiles_whatever_was_expected(at: float, slower: float) -> None:
    situation = Situation()
    plan = plan_at(device=at, cloud=1 / at)
    for _ in range(60):
        situation.head_done("a", plan, 80.0 * slower, 1.0)
        situation.answered("a", plan, {"tail": 25.0 / slower}, 1.0)
    assert situation.device.factor == pytest.approx(slower, rel=0.01)
    assert situation.cloud.factor == pytest.approx(1 / slower, rel=0.01)
    assert situation.moment(9.0, 1.0).device_factor == situation.device.factor
    assert situation.moment(9.0, 1.0).cloud_factor == situation.cloud.factor


@pytest.mark.parametrize(
    "plan",
    [replace(PLAN, expected_ms={}), replace(PLAN, moment=None), replace(PLAN, expected_ms={"head": 0})],
)
def test_nothing_is_learnt_from_a_plan_that_expected_nothing(plan: Plan) -> None:
    situation = Situation()
    for _ in range(20):
        situation.head_done("a", plan, 800.0, 1.0)
        situation.answered("a", plan, {"tail": 800.0}, 1.0)
        assert situation.encoded(replace(plan, expected_bytes=0.0), 9000) == 1.0
    assert situation.device.factor == situation.cloud.factor == 1.0


def test_a_clip_that_never_was_in_the_cloud_says_nothing_of_it() -> None:
    situation = Situation()
    for _ in range(20):
        situation.answered("a", PLAN, {}, 1.0)
        situation.answered("b", None, {"tail": 800.0}, 1.0)
    assert situation.cloud.factor == 1.0
    assert situation.moment(9.0, 1.0).cloud_wait_ms == 0.0


def test_each_codec_has_its_own_size() -> None:
    situation = Situation()
    factors = [situation.encoded(PLAN, 30_000) for _ in range(40)]
    assert factors == sorted(factors)
    assert (factors[0], factors[-1]) == (1.0, pytest.approx(1.5, rel=0.01))
    assert situation.encoded(replace(PLAN, codec="png"), 30_000) == 1.0


def test_an_upload_is_told_once_and_only_of_what_was_acknowledged() -> None:
    situation = Situation()
    for clip_id in "ab":
        situation.sent(clip_id, 20_000, 1.0)
    for key in ("a", "a", "stranger"):
        situation.acknowledged(key, 1.25)
    assert situation.upload_ms("a") == pytest.approx(250)
    assert [situation.upload_ms(key) for key in ("a", "b", "stranger")] == [None] * 3


def test_uploads_that_nobody_asks_for_take_little_room_and_hide_none_that_are() -> None:
    situation = Situation()
    for number in range(3 * UPLOADS_REMEMBERED):
        situation.sent(f"probe {number}", 5000, float(number))
        situation.acknowledged(f"probe {number}", number + 0.1)
    situation.sent("a", 20_000, 1e6)
    situation.acknowledged("a", 1e6 + 0.25)
    assert len(situation._uploads_ms) == UPLOADS_REMEMBERED
    assert situation.upload_ms("a") == pytest.approx(250)


def test_plans_that_are_overrun_make_the_next_ones_careful() -> None:
    situation = Situation()
    for clip in range(20):
        situation.planned(str(clip), PLAN, float(clip))
        situation.answered(str(clip), PLAN, {}, clip + 1.2 * PLAN.expected_ms["total"] / 1000)
    assert situation.moment(99.0, 30.0).caution == pytest.approx(1.2)


def test_how_far_work_on_the_device_goes_beyond_what_was_expected_is_known() -> None:
    situation = Situation()
    for seq in range(40):
        situation.head_done("a", PLAN, 80.0 if seq % 10 else 200.0, 0.0)
    assert situation.overrun.ms == pytest.approx(120.0)
    for _ in range(40):
        situation.finished_here("b", 10.0, 30.0, 0.0)
    assert situation.overrun.ms == pytest.approx(20.0)
    for _ in range(40):
        situation.finished_here("c", 10.0, 0.0, 0.0)  # which failed
    assert situation.overrun.ms == pytest.approx(20.0)


def test_a_clip_that_is_finished_here_keeps_the_device_busy_until_that_is_over() -> None:
    situation = Situation()
    situation.finishing("a", 100.0, 5.0)
    assert situation.moment(9.0, 5.04).device_wait_ms == pytest.approx(60)
    situation.answered("a", None, {}, 5.05)
    assert situation.moment(9.0, 5.06).device_wait_ms == pytest.approx(40)
    situation.finished_here("a", 100.0, 70.0, 5.07)
    assert situation.moment(9.0, 5.07).device_wait_ms == 0


def test_a_machine_that_was_slow_once_is_asked_again() -> None:
    situation = Situation()
    for second in range(50):
        situation.answered("a", PLAN, {"tail": 18 * 25.0}, float(second))
    assert situation.moment(999.0, 50.0).cloud_factor > 10
    assert situation.moment(999.0, 51.0).cloud_factor > 10, "what was just confirmed is not forgotten"
    assert situation.moment(999.0, 120.0).cloud_factor == pytest.approx(1.0, abs=0.05)


def test_it_matters_not_how_often_one_asks() -> None:
    asked, quiet = Situation(), Situation()
    for situation in (asked, quiet):
        for second in range(50):
            situation.head_done("a", PLAN, 800.0, float(second))
    for tenth in range(50 * 10, 70 * 10):
        asked.moment(999.0, tenth / 10)
    assert asked.moment(999.0, 70.0).device_factor == pytest.approx(quiet.moment(999.0, 70.0).device_factor)
