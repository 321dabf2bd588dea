from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.families import default_prunings, evaluate_prunings, thinned, work
from scheduling.levels import exponential_prunings
from scheduling.pruning import is_feasible, none, parse_pruning, uniform

layer_counts = st.integers(1, 40)
token_counts = st.integers(2, 2000)
SHAPES = [(12, 197), (12, 129), (24, 577), (24, 1568)]


@given(layer_counts, token_counts)
def test_prunings_start_with_none_and_each_is_less_work_than_the_one_before(num_layers, num_tokens):
    prunings = default_prunings(num_layers, num_tokens)
    works = [work(pruning, num_tokens) for pruning in prunings]
    assert prunings[0] == none(num_layers, num_tokens)
    assert works[0] == 1
    assert all(lighter > heavier for lighter, heavier in pairwise(works))


@given(layer_counts, token_counts)
def test_every_pruning_is_feasible_and_reads_back_from_its_own_text(num_layers, num_tokens):
    for pruning in default_prunings(num_layers, num_tokens) + evaluate_prunings(num_layers, num_tokens):
        assert is_feasible(pruning.removed, num_layers, num_tokens)
        assert parse_pruning(str(pruning), num_layers, num_tokens) == pruning


@pytest.mark.parametrize(("num_layers", "num_tokens"), SHAPES)
def test_models_of_every_size_merge_the_same_shares(num_layers, num_tokens):
    works = [work(pruning, num_tokens) for pruning in default_prunings(num_layers, num_tokens)[:-1]]
    measured = [work(pruning, 197) for pruning in default_prunings(12, 197)[:-1]]
    assert works == pytest.approx(measured, abs=0.04)


@given(layer_counts, token_counts)
def test_the_heaviest_is_no_more_work_than_the_papers(num_layers, num_tokens):
    ours, papers = default_prunings(num_layers, num_tokens), exponential_prunings(num_layers, num_tokens)
    assert work(ours[-1], num_tokens) <= work(papers[-1], num_tokens)


@pytest.mark.parametrize(("num_layers", "num_tokens"), SHAPES)
def test_the_lighter_half_leaves_the_first_layers_alone(num_layers, num_tokens):
    light = [p for p in default_prunings(num_layers, num_tokens) if work(p, num_tokens) > 0.8]
    assert len(light) == 5
    assert all(pruning.removed[: num_layers // 4] == (0,) * (num_layers // 4) for pruning in light)


@pytest.mark.parametrize(("num_layers", "num_tokens"), SHAPES)
def test_twelve_are_evaluated_and_among_them_are_the_rules_of_both_papers(num_layers, num_tokens):
    prunings = evaluate_prunings(num_layers, num_tokens)
    rules = [pruning.name.partition(":")[0] for pruning in prunings]
    assert len({pruning.removed for pruning in prunings}) == len(prunings) == 12
    assert prunings[0] == none(num_layers, num_tokens)
    assert (rules.count("uniform"), rules.count("exponential")) == (3, 2)
    assert len(set(prunings) & set(default_prunings(num_layers, num_tokens))) == 7


@given(layer_counts, token_counts)
def test_no_two_that_are_evaluated_merge_alike(num_layers, num_tokens):
    removed = [pruning.removed for pruning in evaluate_prunings(num_layers, num_tokens)]
    assert len(set(removed)) == len(removed)
    assert removed[0] == (0,) * num_layers


def test_work_is_the_mean_share_of_tokens_that_a_layer_sees():
    assert work(none(12, 197), 197) == 1
    assert work(uniform(10, 4, 100), 100) == (100 + 90 + 80 + 70) / 400


@given(st.integers(1, 60), st.none() | st.integers(1, 70))
def test_fewer_keep_their_order_and_both_ends(count, most):
    every = exponential_prunings(24, 1568)[:count]
    some = thinned(every, most)
    assert len(some) == min(len(every), most or len(every))
    assert some == sorted(set(some), key=every.index)
    assert some[0] == every[0] and (most == 1 or some[-1] == every[-1])
