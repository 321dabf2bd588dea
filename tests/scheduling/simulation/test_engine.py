import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.link import LinkRules
from scheduling.policies import ORACLE, POLICIES, Choice, Codecs, make_policy
from scheduling.rescue import LocalFinishes
from scheduling.simulation import Run, simulate
from scheduling.simulation.engine import MESSAGE_BYTES
from scheduling.traces import constant, generate_lte, parse_list, sampled
from tests.data import shared_data
from tests.scheduling.machines import LAST, make_cloud, make_device

SLA_MS, RTT_MS = 200.0, 30.0
FINISHES = LocalFinishes(make_device())
SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=6, deadline=None)
REAL = [("static", "lte", "away_p1.list"), ("static", "5g", "away_p2.list")]


@cache
def policy(name):
    """Rescue, and what leaves time for it, is for janus+ alone."""
    margin_ms = 5.0 if name == "janus+" else None
    codecs = Codecs(("float32", "int8"), ("png", "jpeg:90"))
    return make_policy(name, Choice(make_device(), make_cloud(), codecs, rescue_margin_ms=margin_ms))


def run(name, trace, **rest):
    return simulate(policy(name), Run(trace, SLA_MS, RTT_MS, **rest))


def violations(outcomes):
    return sum(outcome.latency_ms > SLA_MS for outcome in outcomes)


def lte(seed, seconds=40.0):
    """A link with outages, often too slow for pixels."""
    return generate_lte(seed, seconds, mean_mbps=3.0, outage_every_s=8.0, outage_s=1.0)


def ends(outcomes):
    return [outcome.ready_s + outcome.latency_ms / 1000 for outcome in outcomes]


def only_row(name):
    """The costs of a policy that has no choice."""
    table = policy(name).scheduler.table
    assert len(table) == 1
    names = ("head", "tail", "bytes", "encode", "decode")
    return dict(zip(names, table.columns[0].tolist(), strict=False))


@FEW
@given(SEEDS, st.sampled_from(POLICIES))
def test_the_next_clip_begins_when_the_last_one_is_out(seed, name):
    trace = lte(seed, 20.0)
    outcomes = run(name, trace)
    assert outcomes[0].ready_s == 0
    assert [later.ready_s for later in outcomes[1:]] == pytest.approx(ends(outcomes)[:-1])
    assert outcomes[-1].ready_s < trace.duration_s <= ends(outcomes)[-1]


@FEW
@given(SEEDS, st.sampled_from(POLICIES), st.floats(0.5, 12))
def test_clips_that_come_at_a_rate_have_one_outcome_each(seed, name, clips_per_s):
    trace = lte(seed, 15.0)
    outcomes = run(name, trace, clips_per_s=clips_per_s, finishes=FINISHES)
    wanted = [number / clips_per_s for number in range(math.ceil(15.0 * clips_per_s))]
    assert [outcome.ready_s for outcome in outcomes] == wanted
    assert all(outcome.latency_ms > 0 for outcome in outcomes)


@FEW
@given(SEEDS, st.sampled_from(POLICIES))
def test_the_same_run_twice_has_the_same_outcomes(seed, name):
    first, second = (run(name, lte(seed, 10.0), finishes=FINISHES) for _ in range(2))
    assert first == second


def test_the_device_alone_takes_what_the_table_says():
    outcomes = run("device-only", lte(1))
    head_ms = only_row("device-only")["head"]
    assert [outcome.latency_ms for outcome in outcomes] == pytest.approx([head_ms] * len(outcomes))
    assert {outcome.num_bytes for outcome in outcomes} == {0}


def test_the_cloud_alone_takes_its_bytes_over_the_link_and_what_the_table_says():
    costs = only_row("cloud-only")
    transfer_ms = (costs["bytes"] + MESSAGE_BYTES) * 8 / 20e3
    wanted = costs["encode"] + transfer_ms + RTT_MS + costs["decode"] + costs["tail"]
    outcomes = run("cloud-only", sampled("20 Mbit/s", np.full(50, 20.0)))
    # A probe never stands in the way: there is no silence.
    assert [outcome.latency_ms for outcome in outcomes] == pytest.approx([wanted] * len(outcomes))
    assert {outcome.num_bytes for outcome in outcomes} == {costs["bytes"]}


def test_the_device_takes_clips_one_after_the_other_however_fast_they_come():
    outcomes = run("device-only", constant(10.0), clips_per_s=50)
    head_s = only_row("device-only")["head"] / 1000
    assert ends(outcomes) == pytest.approx([head_s * number for number in range(1, len(outcomes) + 1)])


def test_the_link_takes_clips_one_after_the_other_however_fast_they_come():
    trace = sampled("slow", np.full(100, 2.0))
    outcomes = run("cloud-only", trace, clips_per_s=50)
    transfer_s = (only_row("cloud-only")["bytes"] + MESSAGE_BYTES) * 8 / 2e6
    gaps = [later - earlier for earlier, later in pairwise(ends(outcomes))]
    assert gaps == pytest.approx([transfer_s] * len(gaps))


def test_janus_plus_sees_its_own_backlog_and_the_papers_policy_does_not():
    trace = sampled("steady", np.full(100, 4.0))
    blind, aware = (run(name, trace, clips_per_s=20) for name in ("janus", "janus+"))
    assert violations(aware) < violations(blind)
    waits_ms = [[outcome.plan.moment.link_wait_ms for outcome in outcomes] for outcomes in (blind, aware)]
    assert max(waits_ms[0]) == 0 < max(waits_ms[1])


def test_the_cloud_takes_clips_one_after_the_other_however_fast_they_come():
    outcomes = run("cloud-only", constant(1000.0), clips_per_s=200)
    tail_s = only_row("cloud-only")["tail"] / 1000
    gaps = [later - earlier for earlier, later in pairwise(ends(outcomes))]
    assert gaps == pytest.approx([tail_s] * len(gaps))


def test_what_was_expected_is_what_happens_on_a_link_that_never_changes():
    outcomes = run("janus+", sampled("steady", np.full(100, 20.0)))
    for outcome in outcomes[5:]:
        expected = outcome.plan.expected_ms["total"]
        assert outcome.latency_ms == pytest.approx(expected, rel=0.05)
        assert outcome.estimated_mbps == pytest.approx(outcome.link_mbps, rel=0.05)


@FEW
@given(SEEDS)
def test_who_knows_the_future_breaks_no_promise_that_the_device_alone_could_keep(seed):
    assert policy(ORACLE).scheduler.table.rescue_ms.min() < SLA_MS
    assert violations(run(ORACLE, lte(seed), clairvoyant=True)) == 0


@pytest.mark.parametrize("name", ["janus+", "janus", "cloud-only", "mixed"])
def test_who_does_not_know_the_future_breaks_some_on_the_same_links(name):
    assert sum(violations(run(name, lte(seed))) for seed in range(3)) > 0


def test_what_the_oracle_expects_is_what_happens():
    for outcome in run(ORACLE, lte(3), clairvoyant=True):
        assert outcome.latency_ms == pytest.approx(outcome.plan.expected_ms["total"])


@FEW
@given(SEEDS)
def test_with_rescue_no_more_promises_are_broken(seed):
    without, rescued = run("janus+", lte(seed)), run("janus+", lte(seed), finishes=FINISHES)
    assert violations(rescued) <= violations(without)
    for outcome in rescued:
        if outcome.rescued is not None:
            assert outcome.plan.split < LAST
            assert outcome.latency_ms <= SLA_MS


def test_rescue_comes_when_the_answer_does_not():
    dies = sampled("dies", np.array([50.0] * 5 + [0.0] * 20))
    stuck = run("janus+", dies)
    saved = run("janus+", dies, finishes=FINISHES)
    assert max(outcome.latency_ms for outcome in stuck) > 1000
    assert max(outcome.latency_ms for outcome in saved) <= SLA_MS
    assert sum(outcome.rescued is not None for outcome in saved) >= 1


@pytest.mark.parametrize("name", ["janus+", "janus", "mixed"])
def test_on_a_link_that_is_dead_from_the_start_the_device_goes_on(name):
    outcomes = run(name, constant(0.0), finishes=FINISHES, clips_per_s=3)
    assert len(outcomes) == 3
    assert all(math.isfinite(outcome.latency_ms) for outcome in outcomes)
    assert run("cloud-only", constant(0.0))[0].latency_ms == math.inf


def test_who_knows_the_future_sends_no_probes():
    rules = LinkRules(prior_mbps=7.0)
    outcomes = run(ORACLE, sampled("slow", np.full(100, 0.02)), clairvoyant=True, rules=rules)
    assert {outcome.estimated_mbps for outcome in outcomes} == {7.0}


def test_the_oracle_does_not_wait_for_a_dead_link():
    outcomes = run(ORACLE, sampled("dead", np.zeros(100)), clairvoyant=True)
    assert {outcome.plan.split for outcome in outcomes} == {LAST}
    assert violations(outcomes) == 0


@pytest.mark.parametrize("name", ["janus", "janus+"])
def test_after_an_outage_probes_bring_the_clips_back_to_the_cloud_within_3_s(name):
    mbps = np.full(1000, 40.0)
    mbps[100:700] = 0.0
    outcomes = run(name, sampled("outage", mbps), finishes=FINISHES)
    during = [outcome for outcome in outcomes if 12 < outcome.ready_s < 70]
    assert {outcome.plan.split for outcome in during} == {LAST}
    after = [outcome for outcome in outcomes if outcome.ready_s > 70 and outcome.plan.split < LAST]
    assert after[0].ready_s < 73


def test_without_probes_a_link_that_recovered_would_never_be_found():
    mbps = np.full(600, 40.0)
    mbps[:300] = 0.3
    seldom = LinkRules(silence_s=1e9)
    trace = sampled("recovers", mbps)
    late = {
        rules: [o.plan.split for o in run("janus", trace, rules=rules) if o.ready_s > 35]
        for rules in (LinkRules(prior_mbps=0.01), replace(seldom, prior_mbps=0.01))
    }
    with_probes, without = late.values()
    assert set(without) == {LAST}
    assert LAST not in with_probes


@pytest.mark.parametrize("where", REAL, ids="/".join)
def test_over_measured_links_the_same_holds(where):
    text = shared_data("traces", "throughput", *where).read_text()
    trace = parse_list(text, where[-1])[0]
    assert violations(run(ORACLE, trace, clairvoyant=True)) == 0
    without, rescued = run("janus+", trace), run("janus+", trace, finishes=FINISHES)
    assert violations(rescued) <= violations(without)
    assert violations(rescued) <= violations(run("janus", trace))
