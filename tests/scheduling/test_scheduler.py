import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.items import Moment
from scheduling.costs import cost_table
from scheduling.scheduler import NEVER_MS, Scheduler
from tests.scheduling.machines import LAST, SPLITS, make_cloud, make_device, make_levels, moments

MARGIN_MS = 5.0
TABLE = cost_table(make_levels(), SPLITS, make_device(), make_cloud(), prune=False)
REMOTE = TABLE.take([index for index in range(len(TABLE)) if TABLE.sends[index]])
JANUS, CAREFUL = Scheduler(TABLE), Scheduler(TABLE, rescue_margin_ms=MARGIN_MS)
MARGINS_MS = {
    JANUS: None,
    CAREFUL: MARGIN_MS,
    Scheduler(REMOTE): None,
    Scheduler(REMOTE, rescue_margin_ms=MARGIN_MS): MARGIN_MS,
}
SCHEDULERS = st.sampled_from(list(MARGINS_MS))
CONNECTED = moments(st.just(True))


def slow_total_ms(table, index, moment):
    """What candidate `index` takes, step by step; infinite where the link carries nothing."""
    done_ms = moment.device_wait_ms if table.uses_model[index] else 0.0
    done_ms += table.head_ms[index] * moment.device_factor + table.encode_ms[index]
    if not table.sends[index]:
        return done_ms
    if not moment.connected or moment.mbps == 0:
        return math.inf
    done_ms = max(done_ms, moment.link_wait_ms)
    done_ms += table.num_bytes[index] * 8 / (moment.mbps * 1000) + moment.rtt_ms
    return (
        done_ms + moment.cloud_wait_ms + table.decode_ms[index] + table.tail_ms[index] * moment.cloud_factor
    )


def finishes_in_time(table, index, moment, margin_ms):
    """Whether the device can still answer by itself, should the link go dead."""
    if margin_ms is None or not table.sends[index]:
        return True
    local_ms = moment.device_wait_ms + table.rescue_ms[index] * moment.device_factor
    return local_ms + margin_ms <= moment.budget_ms


def slow_decision(table, moment, margin_ms):
    """Algorithm 1 in loops: the chosen candidate, and whether it meets the deadline."""
    totals = [slow_total_ms(table, index, moment) for index in range(len(table))]
    for rank in sorted(set(table.ranks.tolist())):
        fastest, fastest_ms = None, math.inf
        for index, candidate in enumerate(table.candidates):
            if candidate.rank != rank or not finishes_in_time(table, index, moment, margin_ms):
                continue
            if fastest is None or totals[index] < fastest_ms:
                fastest, fastest_ms = index, totals[index]
        if fastest is not None and fastest_ms <= moment.budget_ms:
            return fastest, True
    if margin_ms is not None:
        return slow_decision(table, moment, None)
    return min(range(len(table)), key=totals.__getitem__), False


def same(total_ms, slow_ms):
    return total_ms == pytest.approx(slow_ms) if slow_ms < NEVER_MS / 2 else total_ms >= NEVER_MS / 2


def on_the_edge(scheduler, moment):
    """Whether rounding alone decides what meets the deadline."""
    table = scheduler.table
    left_ms = moment.budget_ms - MARGIN_MS - moment.device_wait_ms
    edges = [moment.budget_ms - slow_total_ms(table, index, moment) for index in range(len(table))]
    edges += [left_ms - rescue_ms * moment.device_factor for rescue_ms in table.rescue_ms]
    return any(abs(edge) < 1e-6 for edge in edges)


@given(SCHEDULERS, moments())
def test_predicted_totals_are_the_steps_one_after_the_other(scheduler, moment):
    totals = scheduler.predict(moment)
    for index, total_ms in enumerate(totals.tolist()):
        assert same(total_ms, slow_total_ms(scheduler.table, index, moment))


@given(SCHEDULERS, moments())
def test_decisions_are_those_of_algorithm_1_in_loops(scheduler, moment):
    assume(not on_the_edge(scheduler, moment))
    wanted, meets = slow_decision(scheduler.table, moment, MARGINS_MS[scheduler])
    chosen = scheduler.decide(moment)
    slow_ms = slow_total_ms(scheduler.table, wanted, moment)
    assert same(chosen.total_ms, slow_ms)
    assert same(chosen.total_ms, slow_total_ms(scheduler.table, chosen.index, moment))
    if meets and slow_ms < NEVER_MS / 2:
        assert scheduler.table.candidates[chosen.index].rank == scheduler.table.candidates[wanted].rank
        assert chosen.meets


@given(SCHEDULERS, CONNECTED)
def test_the_parts_of_the_expected_latency_add_up_to_its_total(scheduler, moment):
    plan = scheduler.plan(moment)
    total_ms = plan.expected_ms["total"]
    parts = {name: value for name, value in plan.expected_ms.items() if name != "total"}
    assert sum(parts.values()) == pytest.approx(total_ms)
    assert min(parts.values()) >= 0
    assert ("uplink" in parts) == (plan.split != LAST)


@given(SCHEDULERS, CONNECTED, st.floats(1, 100))
def test_more_bandwidth_never_makes_a_candidate_slower_nor_the_level_worse(scheduler, moment, more):
    wider = replace(moment, mbps=moment.mbps * more)
    assert (scheduler.predict(wider) <= scheduler.predict(moment) * (1 + 1e-12)).all()
    before, after = scheduler.decide(moment), scheduler.decide(wider)
    candidates = scheduler.table.candidates
    if before.meets and not on_the_edge(scheduler, moment):
        assert after.meets
        if MARGINS_MS[scheduler] is None:
            assert candidates[after.index].rank <= candidates[before.index].rank
    if not after.meets:
        assert after.total_ms <= before.total_ms * (1 + 1e-12)


@given(st.sampled_from([JANUS, Scheduler(REMOTE)]), moments(), st.floats(0, 1000))
def test_a_later_deadline_never_gives_a_worse_level(scheduler, moment, more_ms):
    candidates = scheduler.table.candidates
    before = scheduler.decide(moment)
    after = scheduler.decide(replace(moment, budget_ms=moment.budget_ms + more_ms))
    assert candidates[after.index].rank <= candidates[before.index].rank
    assert after.meets >= before.meets


@given(SCHEDULERS, moments())
def test_where_nothing_meets_the_deadline_the_fastest_is_chosen(scheduler, moment):
    moment = replace(moment, budget_ms=-1.0)
    chosen = scheduler.decide(moment)
    assert not chosen.meets
    assert chosen.total_ms == scheduler.predict(moment).min()
    assert "no plan is sure to meet the deadline" in scheduler.plan(moment).why


@given(moments())
def test_a_plan_that_leaves_the_device_can_still_be_finished_there_in_time(moment):
    assume(not on_the_edge(CAREFUL, moment))
    chosen = CAREFUL.decide(moment).index
    totals = CAREFUL.predict(moment)
    possible = [
        totals[index] <= moment.budget_ms and finishes_in_time(TABLE, index, moment, MARGIN_MS)
        for index in range(len(TABLE))
    ]
    if any(possible):
        assert possible[chosen]


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_margin_keeps_a_risky_plan_from_being_chosen(factor):
    local_ms = TABLE.head_ms[TABLE.sends == 0].min() * factor
    moment = Moment(budget_ms=local_ms + 0.5, mbps=1000.0, rtt_ms=5.0, device_factor=factor)
    risky, careful = JANUS.decide(moment).index, CAREFUL.decide(moment).index
    assert TABLE.candidates[risky].rank == 0
    assert not finishes_in_time(TABLE, risky, moment, MARGIN_MS)
    assert TABLE.candidates[careful].rank > 0
    assert finishes_in_time(TABLE, careful, moment, MARGIN_MS)


def test_a_device_too_slow_to_rescue_anything_does_not_cost_the_accuracy_that_the_cloud_gives():
    moment = Moment(budget_ms=90.0, mbps=100.0, rtt_ms=5.0)
    assert not any(
        finishes_in_time(TABLE, index, moment, MARGIN_MS) and TABLE.sends[index]
        for index in range(len(TABLE))
    )
    assert CAREFUL.decide(moment) == JANUS.decide(moment)
    assert TABLE.candidates[CAREFUL.decide(moment).index].rank == 0


@pytest.mark.parametrize("dead", [{"connected": False}, {"mbps": 0.0}])
@pytest.mark.parametrize("scheduler", [JANUS, CAREFUL])
def test_a_dead_link_leaves_the_device(dead, scheduler):
    for budget_ms in (1.0, 200.0, 1000.0, math.inf):
        assert scheduler.plan(Moment(budget_ms=budget_ms, **dead)).split == LAST


def test_waits_move_the_work_to_where_nobody_waits():
    at_rest = Moment(budget_ms=250.0, mbps=20.0, rtt_ms=10.0)
    assert JANUS.plan(at_rest).split == 0
    assert JANUS.plan(replace(at_rest, link_wait_ms=1000.0)).split == LAST
    assert JANUS.plan(replace(at_rest, cloud_wait_ms=1000.0)).split == LAST
    assert JANUS.plan(replace(at_rest, mbps=0.5, device_wait_ms=1000.0)).split == 0


def near_ms(scheduler, rank, totals, budget_ms):
    """The total in each respect in which a plan may be near one of this rank."""
    rows = list(zip(scheduler.table.candidates, totals.tolist(), strict=True))
    best = min(c.rank for c, _ in rows)
    better = max((c.rank for c, _ in rows if c.rank < rank), default=None)

    def first_that_meets(split):
        alone = [total_ms for c, total_ms in rows if c.split == split]
        return next((total_ms for total_ms in alone if total_ms <= budget_ms), min(alone, default=None))

    return {
        "best level": min(total_ms for c, total_ms in rows if c.rank == best),
        "fastest": min(totals),
        "next better level": min((total_ms for c, total_ms in rows if c.rank == better), default=None),
        "all on the device": first_that_meets(LAST),
        "all in the cloud": first_that_meets(0),
    }


def key(plan):
    return plan.pruning, plan.split, plan.codec


@given(SCHEDULERS, moments())
def test_near_holds_what_it_says_and_never_the_chosen_one(scheduler, moment):
    plan, totals = scheduler.plan(moment), scheduler.predict(moment)
    ranks = {key(candidate): candidate.rank for candidate in scheduler.table.candidates}
    rank = ranks[key(plan)]
    wanted = near_ms(scheduler, rank, totals, moment.budget_ms)
    for other in plan.near:
        assert key(other) != key(plan)
        assert other.expected_ms == wanted[other.what]
        order = (ranks[key(other)] > rank) - (ranks[key(other)] < rank)
        assert other.level == {-1: "better", 0: "same", 1: "worse"}[order]
    assert len({key(other) for other in plan.near}) == len(plan.near)
    shown = {plan.expected_ms["total"], *(other.expected_ms for other in plan.near)}
    assert {value for value in wanted.values() if value is not None} <= shown


@given(moments(), st.floats(0.2, 5))
def test_a_codec_that_makes_more_bytes_than_its_profile_says_is_expected_to(moment, factor):
    table = TABLE.take(range(len(TABLE)))
    scheduler = Scheduler(table)
    scheduler.rescale("int8", 3.0)
    scheduler.rescale("int8", factor)
    scheduler.rescale("unknown", 9.0)
    for index, total_ms in enumerate(scheduler.predict(moment).tolist()):
        scaled = factor if table.candidates[index].codec == "int8" else 1.0
        more_bytes = replace(table, num_bytes=table.num_bytes * scaled)
        assert same(total_ms, slow_total_ms(more_bytes, index, moment))
    assert scheduler.plan(moment).expected_bytes in TABLE.num_bytes


def test_a_plan_says_what_was_known_and_why_it_was_chosen():
    moment = Moment(budget_ms=1000.0, mbps=50.0)
    plan = JANUS.plan(moment)
    assert plan.moment == moment
    assert plan.why == "janus+: the fastest at the best level"
    assert plan.expected_bytes == TABLE.num_bytes[JANUS.decide(moment).index]
    assert JANUS.plan(replace(moment, budget_ms=200.0, mbps=0.5)).why.endswith("that meets the deadline")


@given(moments(), st.floats(1.0, 1.5))
def test_caution_holds_back_a_part_of_the_budget(moment, caution):
    careful = JANUS.decide(replace(moment, caution=caution))
    assert careful == JANUS.decide(replace(moment, budget_ms=moment.budget_ms / caution))
    if careful.meets:
        assert careful.total_ms * caution <= moment.budget_ms * (1 + 1e-12)
