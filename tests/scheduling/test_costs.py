from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.costs import NOTHING, cost_table, undominated
from scheduling.levels import Level, Levels, exponential_prunings
from scheduling.pruning import exponential, none, uniform
from scheduling.rescue import LocalFinishes
from scheduling.scheduler import Scheduler
from tests.scheduling.machines import (
    EVERY_CODEC,
    LAST,
    NUM_LAYERS,
    NUM_TOKENS,
    PIXEL_CODECS,
    SPLITS,
    TOKEN_CODECS,
    make_cloud,
    make_codecs,
    make_device,
    make_levels,
    moments,
)

HALF = uniform(10, NUM_LAYERS, NUM_TOKENS)
PRUNINGS = st.sampled_from([*exponential_prunings(NUM_LAYERS, NUM_TOKENS, 12), HALF])


def every(levels=None, device=None, cloud=None, splits=SPLITS):
    """The table of all candidates, dominated ones included."""
    return cost_table(
        levels or make_levels(), splits, device or make_device(), cloud or make_cloud(), prune=False
    )


def only(pruning, codecs=EVERY_CODEC):
    return Levels.unmeasured([pruning], codecs)


def rows(table):
    """What each candidate of one pruning costs, by split and codec."""
    names = ("head", "tail", "bytes", "encode", "decode", "sends", "model", "rescue")
    return {
        (candidate.split, candidate.codec): dict(zip(names, row, strict=True))
        for candidate, row in zip(table.candidates, table.columns.tolist(), strict=True)
    }


def test_every_level_appears_at_every_split_that_its_codec_can_cross():
    table = every(make_levels(prunings=3))
    found = [(str(c.pruning), c.split, c.codec) for c in table.candidates]
    inner = [split for split in SPLITS if 0 < split < LAST]
    wanted = {(0, codec) for codec in PIXEL_CODECS}
    wanted |= {(split, codec) for split in inner for codec in TOKEN_CODECS} | {(LAST, NOTHING)}
    prunings = [str(pruning) for pruning in exponential_prunings(NUM_LAYERS, NUM_TOKENS, 3)]
    assert sorted(found) == sorted((name, *rest) for name in prunings for rest in wanted)


def test_candidates_come_in_order_of_rank_which_is_their_group():
    levels = make_levels()
    table = every(levels)
    assert (np.diff(table.ranks) >= 0).all()
    for candidate in table.candidates:
        codec = None if candidate.codec == NOTHING else candidate.codec
        assert Level(candidate.pruning, codec) in levels.groups[candidate.rank]


@given(PRUNINGS)
def test_head_and_tail_of_any_split_are_the_whole_where_both_machines_are_alike(pruning):
    found = rows(every(only(pruning), make_device(), make_device(), range(NUM_LAYERS + 2)))
    whole_ms = found[LAST, NOTHING]["head"]
    for costs in found.values():
        assert costs["head"] + costs["tail"] == pytest.approx(whole_ms)


def test_the_device_alone_takes_the_sum_over_its_layers():
    device = make_device(overhead_ms=7.0)
    found = rows(every(only(HALF), device))[LAST, NOTHING]
    layers_ms = sum(4.0 + 0.4 * (NUM_TOKENS - 10 * layer) for layer in range(NUM_LAYERS))
    assert found["head"] == pytest.approx(7.0 + 3.0 + layers_ms + 1.0)
    assert found["rescue"] == found["head"]


def test_a_cut_costs_what_each_side_runs_and_what_crosses():
    found = rows(every(only(HALF), make_device(overhead_ms=7.0), make_cloud(overhead_ms=2.0)))[2, "int8"]
    tail_ms = sum(1.0 + 0.03 * (NUM_TOKENS - 10 * layer) for layer in range(2, NUM_LAYERS))
    assert found["head"] == pytest.approx(7.0 + 3.0 + 2 * 4.0 + 0.4 * (101 + 91))
    assert found["tail"] == pytest.approx(2.0 + tail_ms + 0.2)
    # 81 tokens are left, each with two bytes that say for how many patches it stands.
    assert found["bytes"] == pytest.approx(81 * 70 + 81 * 2)
    assert (found["encode"], found["decode"]) == pytest.approx((0.1 + 0.081, 0.1 + 0.081))
    assert (found["sends"], found["model"]) == (1, 1)


def test_tokens_that_stand_for_themselves_carry_no_sizes():
    late = replace(none(NUM_LAYERS, NUM_TOKENS), name="late", removed=(0, 0, 5, 5, 5, 5))
    found = rows(every(only(late)))
    assert found[2, "int8"]["bytes"] == NUM_TOKENS * 70
    assert found[4, "int8"]["bytes"] == (NUM_TOKENS - 10) * 72


def test_all_in_the_cloud_leaves_the_device_nothing_to_run():
    found = rows(every(only(HALF)))
    costs = found[0, "jpeg:90"]
    assert (costs["head"], costs["model"]) == (0, 0)
    assert costs["tail"] == pytest.approx(
        0.5 + 0.2 + sum(1 + 0.03 * (101 - 10 * layer) for layer in range(6))
    )
    assert (costs["bytes"], costs["encode"], costs["decode"]) == (15_000, 2.0, 1.0)


@given(PRUNINGS)
def test_all_on_the_device_sends_nothing(pruning):
    costs = rows(every(only(pruning)))[LAST, NOTHING]
    assert (costs["bytes"], costs["tail"], costs["encode"], costs["decode"], costs["sends"]) == (
        0,
        0,
        0,
        0,
        0,
    )


@given(PRUNINGS)
def test_rescue_is_the_head_and_the_fastest_finish_from_there(pruning):
    finishes = LocalFinishes(make_device())
    for (split, codec), costs in rows(every(only(pruning))).items():
        if codec != NOTHING:
            tokens = pruning.tokens_after(NUM_TOKENS, split)
            assert costs["rescue"] == pytest.approx(costs["head"] + finishes.fastest_ms(split, tokens))


@cache
def schedulers(tolerance, margin_ms):
    """One over the candidates that are kept, one over all."""
    tables = (
        cost_table(
            make_levels(tolerance=tolerance), SPLITS, make_device(merge_ms=12.0), make_cloud(), prune=prune
        )
        for prune in (True, False)
    )
    return tuple(Scheduler(table, rescue_margin_ms=margin_ms) for table in tables)


@given(st.builds(schedulers, st.sampled_from((0.0, 0.01)), st.sampled_from((None, 5.0))), moments())
def test_dropping_dominated_candidates_never_changes_a_decision(pair, moment):
    some, full = pair
    assert len(some.table) < len(full.table)
    chosen, wanted = some.decide(moment), full.decide(moment)
    assert chosen.total_ms == pytest.approx(wanted.total_ms, rel=1e-9)
    assert chosen.meets == wanted.meets
    assert some.table.candidates[chosen.index].rank == full.table.candidates[wanted.index].rank


def test_what_is_dropped_is_beaten_by_what_is_kept_and_what_is_kept_by_nothing():
    table = every(make_levels(tolerance=0.01))
    kept = undominated(table)
    assert 0 < len(kept) < len(table) and kept == sorted(kept)
    costs = np.column_stack([table.ranks, table.columns])
    for index in range(len(table)):
        beaten = (costs[kept] <= costs[index]).all(1) & (costs[kept] != costs[index]).any(1)
        assert beaten.any() == (index not in kept)


def twice():
    """A table that holds the same candidate twice."""
    level = Level(none(NUM_LAYERS, NUM_TOKENS), None)
    return every(Levels(((level, level),)))


def test_of_two_equal_candidates_one_is_kept():
    assert len(twice()) == 2
    assert undominated(twice()) == [0]


@pytest.mark.parametrize("cost", ["head_ms", "tail_ms", "num_bytes", "encode_ms", "decode_ms", "rescue_ms"])
def test_a_candidate_that_is_better_in_one_cost_is_kept(cost):
    other = "tail_ms" if cost == "head_ms" else "head_ms"
    first, second = np.array([5.0, 10.0]), np.array([10.0, 5.0])
    assert undominated(replace(twice(), **{other: first, cost: second})) == [0, 1]
    assert undominated(replace(twice(), **{other: first, cost: first})) == [0]


def test_a_table_of_some_candidates_holds_their_rows():
    table = every()
    some = table.take([5, 2])
    assert some.candidates == (table.candidates[5], table.candidates[2])
    assert some.columns.tolist() == table.columns[[5, 2]].tolist()


def test_where_pixels_stay_no_split_is_0():
    splits = {candidate.split for candidate in every(splits=SPLITS[1:]).candidates}
    assert splits == set(SPLITS) - {0}


@pytest.mark.parametrize("lacking", ["device", "cloud"])
def test_a_codec_that_a_profile_lacks_is_refused_by_name(lacking):
    codecs = make_codecs()
    del codecs["int8"]
    poor = {"device": make_device, "cloud": make_cloud}[lacking](codecs=codecs)
    with pytest.raises(ConfigError, match=r"int8 is not in the profile of box, which has float32, png"):
        every(**{lacking: poor})


def test_profiles_of_models_of_different_shape_are_refused():
    with pytest.raises(ConfigError, match="different shape"):
        every(cloud=make_cloud().model_copy(update={"num_tokens": 50}))


def test_no_candidate_at_all_is_an_error_that_says_why():
    with pytest.raises(ConfigError, match="no plan is left"):
        every(only(exponential(0.2, NUM_LAYERS, NUM_TOKENS), ["int8"]), splits=(LAST,))
