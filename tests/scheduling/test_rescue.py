from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.levels import exponential_prunings
from scheduling.rescue import LocalFinishes
from tests.scheduling.machines import NUM_LAYERS, NUM_TOKENS, make_device

SPLITS = st.integers(0, NUM_LAYERS)
TOKENS = st.integers(2, NUM_TOKENS)
BUDGETS = st.floats(-100, 500)
FINISHES = LocalFinishes(make_device(overhead_ms=7.0))


def slow_ms(split, tokens, pruning):
    """The layers that are left, one after the other."""
    total_ms = 7.0 + (3.0 if split == 0 else 0.0) + 1.0
    for removed in pruning.removed:
        total_ms += 4.0 + 0.4 * tokens
        tokens -= removed
    return total_ms


@given(SPLITS, TOKENS)
def test_each_way_runs_the_layers_that_are_left_and_merges_anew(split, tokens):
    ways = FINISHES.after(split, tokens)
    assert [way.pruning for way in ways] == exponential_prunings(NUM_LAYERS - split, tokens)
    for way in ways:
        assert len(way.pruning.removed) == NUM_LAYERS - split
        assert way.ms == pytest.approx(slow_ms(split, tokens, way.pruning))


@given(SPLITS, TOKENS, BUDGETS)
def test_the_lightest_way_that_fits_is_taken_and_the_fastest_where_none_does(split, tokens, budget_ms):
    ways = FINISHES.after(split, tokens)
    taken = FINISHES.lightest(split, tokens, budget_ms)
    fitting = [way for way in ways if way.ms <= budget_ms]
    if fitting:
        assert taken == fitting[0]
    else:
        assert taken.ms == min(way.ms for way in ways) == FINISHES.fastest_ms(split, tokens)


@given(SPLITS, TOKENS, BUDGETS, st.floats(0, 300))
def test_more_time_never_means_more_merging(split, tokens, budget_ms, more_ms):
    ways = FINISHES.after(split, tokens)
    hurried = FINISHES.lightest(split, tokens, budget_ms)
    calm = FINISHES.lightest(split, tokens, budget_ms + more_ms)
    if hurried.ms <= budget_ms:
        assert ways.index(calm) <= ways.index(hurried)
    assert calm.ms >= FINISHES.fastest_ms(split, tokens)


def test_where_merging_itself_takes_long_the_heaviest_is_not_the_fastest():
    finishes = LocalFinishes(make_device(merge_ms=30.0))
    ways = finishes.after(0, NUM_TOKENS)
    assert finishes.lightest(0, NUM_TOKENS, 0.0) == min(ways, key=lambda way: way.ms) != ways[-1]


@given(TOKENS)
def test_the_later_the_cut_the_sooner_the_device_is_done(tokens):
    fastest = [FINISHES.fastest_ms(split, tokens) for split in range(NUM_LAYERS + 1)]
    assert all(later < earlier for earlier, later in pairwise(fastest))
    assert fastest[-1] == 7.0 + 1.0


def test_tokens_are_counted_from_the_embedding():
    assert FINISHES.num_tokens == NUM_TOKENS
