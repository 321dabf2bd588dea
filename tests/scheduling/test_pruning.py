import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.pruning import (
    alpha_max,
    exponential,
    falling,
    feasible,
    is_feasible,
    late,
    none,
    parse_pruning,
    ramp,
    rising,
    uniform,
)

layer_counts = st.integers(1, 40)
token_counts = st.integers(1, 2000)


@pytest.mark.parametrize(
    ("pruning", "tokens_left"),
    [
        (none(12, 197), 197),
        (exponential(0.35, 12, 197), 139),
        (exponential(0.40, 12, 197), 116),
        (exponential(0.45, 12, 197), 91),
        (exponential(0.50, 12, 197), 48),
        (uniform(8, 12, 197), 101),
        (uniform(16, 12, 197), 11),
        (falling(24, 12, 197), 53),
        (rising(24, 12, 197), 53),
        (rising(32, 12, 197), 19),
        (late(5, 16, 12, 197), 85),
        (ramp(8, 28, 12, 197), 10),
    ],
)
def test_tokens_left_are_those_that_were_measured(pruning, tokens_left):
    assert pruning.tokens_after(197, 12) == tokens_left


@given(layer_counts, token_counts, st.floats(0.01, 1.0))
def test_exponential_is_equation_1_while_every_layer_has_tokens_enough(num_layers, num_tokens, alpha):
    left = num_tokens
    for layer, removed in enumerate(exponential(alpha, num_layers, num_tokens).removed, start=1):
        assert removed == min(math.floor(2 ** (alpha * (num_layers - layer))), (left - 1) // 2)
        left -= removed


def test_alpha_zero_merges_nothing():
    assert exponential(0.0, 24, 577).removed == (0,) * 24


@given(st.integers(2, 40), token_counts)
def test_alpha_max_is_the_largest_step_that_satisfies_equation_2(num_layers, num_tokens):
    def removals(alpha):
        return sum(math.floor(2 ** (alpha * (num_layers - layer))) for layer in range(1, num_layers + 1))

    alpha = alpha_max(num_layers, num_tokens)
    assert alpha == 0 or removals(alpha) < num_tokens
    assert removals(round(alpha + 0.01, 2)) >= num_tokens


@given(st.lists(st.integers(0, 300), max_size=30), token_counts)
def test_no_layer_merges_more_than_half_of_its_tokens(wish, num_tokens):
    left = num_tokens
    for removed, asked in zip(feasible(wish, num_tokens), wish, strict=True):
        assert 0 <= removed <= asked
        assert removed <= (left - 1) / 2
        left -= removed
    assert left >= 1


@given(layer_counts, token_counts, st.floats(0, 64))
def test_every_rule_makes_a_feasible_pruning(num_layers, num_tokens, parameter):
    for rule in (uniform, falling, rising):
        assert is_feasible(rule(parameter, num_layers, num_tokens).removed, num_layers, num_tokens)


def test_falling_is_rising_backwards_while_tokens_last():
    assert falling(24, 12, 400).removed == rising(24, 12, 400).removed[::-1]


@given(layer_counts, token_counts, st.integers(0, 40), st.floats(0, 64))
def test_late_is_uniform_behind_the_layers_that_it_spares(num_layers, num_tokens, spared, r):
    spared = min(spared, num_layers)
    behind = uniform(r, num_layers - spared, num_tokens).removed
    assert late(spared, r, num_layers, num_tokens).removed == (0,) * spared + behind


@given(st.integers(2, 40), token_counts, st.floats(0, 64), st.floats(0, 64))
def test_a_ramp_starts_and_ends_where_it_was_told_while_tokens_last(num_layers, num_tokens, first, last):
    plenty = 300 * num_layers
    removed = ramp(first, last, num_layers, plenty).removed
    assert (removed[0], removed[-1]) == (round(first), round(last))
    steps = [after - before for before, after in pairwise(removed)]
    assert max(steps) - min(steps) <= 2
    assert is_feasible(ramp(first, last, num_layers, num_tokens).removed, num_layers, num_tokens)


@given(st.integers(2, 40), token_counts, st.integers(0, 64))
def test_the_rules_of_one_parameter_are_special_ramps(num_layers, num_tokens, r):
    def removed(rule, *parameters):
        return rule(*parameters, num_layers, num_tokens).removed

    assert removed(ramp, r, r) == removed(uniform, r) == removed(late, 0, r)
    assert removed(ramp, 0, r) == removed(rising, r)
    assert removed(ramp, r, 0) == removed(falling, r)


def test_infeasible_removals_are_recognised():
    assert not is_feasible((100, 0), 2, 197)
    assert not is_feasible((0,), 2, 197)
    assert not is_feasible((-1, 0), 2, 197)


SPECS = ["none", "exponential:0.2", "uniform:8", "falling:24", "rising:32", "late:5:16", "ramp:8:28"]


@pytest.mark.parametrize("spec", SPECS)
def test_a_pruning_reads_back_from_its_own_text(spec):
    pruning = parse_pruning(spec, 12, 197)
    assert str(pruning) == spec
    assert parse_pruning(str(pruning), 12, 197) == pruning


@given(layer_counts, st.integers(64, 2000), st.integers(0, 64), st.integers(0, 64))
def test_two_parameters_survive_printing(num_layers, num_tokens, one, other):
    spared = min(one, num_layers)
    for pruning in (late(spared, other, num_layers, num_tokens), ramp(one, other, num_layers, num_tokens)):
        assert parse_pruning(str(pruning), num_layers, num_tokens) == pruning


@pytest.mark.parametrize(
    "spec",
    [
        *("", "None", "uniform:", "uniform:x", "uniform:-1", "uniform:nan", "exponential:9", "top:3"),
        *("late:13:4", "late:x:4", "late:3:", "ramp:8:198", "ramp:inf:8"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(spec):
    with pytest.raises(ConfigError, match=r"choose none, exponential|must be a number from 0 to"):
        parse_pruning(spec, 12, 197)


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("uniform", "uniform:<tokens a layer>"),
        ("uniform:8:3", "uniform:<tokens a layer>"),
        ("late:3", "late:<layers spared>:<tokens a layer>"),
        ("ramp:1:2:3", "ramp:<tokens in the first layer>:<tokens in the last layer>"),
    ],
)
def test_a_rule_with_too_few_or_too_many_parameters_shows_how_it_is_written(spec, right):
    with pytest.raises(ConfigError, match=f"^pruning '{spec}': is written {right}$"):
        parse_pruning(spec, 12, 197)


def test_an_unknown_rule_is_answered_with_all_that_are_known():
    with pytest.raises(ConfigError, match=r"exponential:<alpha>, .*, ramp:<tokens in the first layer>:<tok"):
        parse_pruning("top:3", 12, 197)
