import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Plan
from scheduling.levels import exponential_prunings
from scheduling.pruning import exponential, none, uniform
from scheduling.rescue import LocalFinish
from scheduling.simulation.engine import Outcome
from scheduling.simulation.metrics import accuracy_level, level_scale, summarise
from tests.scheduling.machines import LAST, NUM_LAYERS, NUM_TOKENS

PRUNINGS = exponential_prunings(NUM_LAYERS, NUM_TOKENS)
LEVEL = level_scale(PRUNINGS)
LIGHT, HEAVY = PRUNINGS[0], PRUNINGS[-1]
CODECS = ("none", "float32", "float16", "int8", "jpeg:95", "jpeg:50", "int4")


def outcome(latency_ms=100.0, pruning=LIGHT, split=2, codec="int8", num_bytes=1000.0, rescued=None):
    return Outcome(0.0, latency_ms, Plan(pruning, split, codec), num_bytes, 10.0, 10.0, rescued)


def row(outcomes, elapsed_s=10.0, sla_ms=200.0):
    names = {"group": "static lte", "policy": "janus", "task": "image", "pixels": "paper"}
    return summarise(outcomes, elapsed_s, sla_ms=sla_ms, num_tokens=NUM_TOKENS, level=LEVEL, **names)


def test_a_lighter_pruning_is_a_better_level_whatever_the_codec():
    scale = [LEVEL(pruning, codec) for pruning in PRUNINGS for codec in CODECS]
    assert scale == sorted(scale, reverse=True)
    assert scale[0] == 1.0 and 0 < scale[-1] < 1 / len(PRUNINGS)
    for lighter, heavier in pairwise(PRUNINGS):
        assert LEVEL(lighter, "int4") > LEVEL(heavier, "float32")


def test_on_the_device_and_lossless_codecs_are_the_same_level():
    assert LEVEL(LIGHT, "none") == LEVEL(LIGHT, "png") == LEVEL(LIGHT, "float32+lzw") == 1.0


def test_a_pruning_between_two_counts_as_the_heavier_and_one_of_another_rule_is_not_on_the_scale():
    alpha = (PRUNINGS[3].parameter + PRUNINGS[4].parameter) / 2
    assert LEVEL(exponential(alpha, NUM_LAYERS, NUM_TOKENS), "none") == LEVEL(PRUNINGS[4], "none")
    beyond = exponential(9.0, NUM_LAYERS, NUM_TOKENS)
    assert LEVEL(beyond, "none") == LEVEL(HEAVY, "none")
    assert LEVEL(uniform(3, NUM_LAYERS, NUM_TOKENS), "none") is None


def test_a_rescued_clip_counts_by_the_heavier_of_its_two_prunings():
    finish = LocalFinish(PRUNINGS[5], 10.0)
    assert accuracy_level(outcome(rescued=finish), LEVEL) == LEVEL(PRUNINGS[5], "none")
    assert accuracy_level(outcome(pruning=HEAVY, rescued=finish), LEVEL) == LEVEL(HEAVY, "none")
    even = uniform(3, NUM_LAYERS, NUM_TOKENS)
    assert accuracy_level(outcome(pruning=even, rescued=finish), LEVEL) is None


def test_what_is_late_is_counted_and_how_far_from_the_promise():
    found = row([outcome(200.0), outcome(200.1), outcome(500.0), outcome(100.0)], elapsed_s=2.0)
    assert (found.clips, found.violation_ratio, found.throughput) == (4, 0.5, 2.0)
    assert found.latency_mean_ms == pytest.approx(1000.1 / 4)
    assert found.latency_deviation == pytest.approx((0 + 0.1 + 300 + 100) / 4 / 200)


@given(st.lists(st.floats(1, 5000), min_size=1, max_size=300))
def test_half_and_all_but_one_in_a_hundred_are_below_their_percentiles(latencies):
    found = row([outcome(latency_ms) for latency_ms in latencies])
    below = [
        sum(latency_ms <= limit + 1e-6 for latency_ms in latencies)
        for limit in (found.latency_p50_ms, found.latency_p99_ms)
    ]
    assert below[0] >= len(latencies) * 0.5
    assert below[1] >= (len(latencies) - 1) * 0.99
    assert min(latencies) - 1e-6 <= found.latency_p50_ms <= found.latency_p99_ms <= max(latencies) + 1e-6


def test_ratios_are_fractions_of_all_clips():
    finish = LocalFinish(HEAVY, 10.0)
    found = row(
        [outcome(split=0), outcome(split=LAST), outcome(split=LAST), outcome(split=2, rescued=finish)]
    )
    assert (found.in_cloud_ratio, found.on_device_ratio, found.rescued_ratio) == (0.25, 0.5, 0.25)
    assert found.mean_split == (0 + LAST + LAST + 2) / 4


def test_means_are_over_clips():
    found = row([outcome(pruning=LIGHT, num_bytes=500), outcome(pruning=HEAVY, num_bytes=100)])
    assert found.bytes_per_clip == 300
    assert found.mean_pruning == HEAVY.parameter / 2
    assert found.accuracy_level == pytest.approx((LEVEL(LIGHT, "int8") + LEVEL(HEAVY, "int8")) / 2)
    seen = sum(HEAVY.tokens_after(NUM_TOKENS, split) for split in range(NUM_LAYERS))
    assert found.tokens_kept == pytest.approx((1 + seen / NUM_LAYERS / NUM_TOKENS) / 2)


def test_one_clip_off_the_scale_leaves_no_mean_level():
    assert row([outcome(), outcome(pruning=uniform(3, NUM_LAYERS, NUM_TOKENS))]).accuracy_level is None


def test_without_pruning_all_tokens_are_kept():
    assert row([outcome(pruning=none(NUM_LAYERS, NUM_TOKENS))]).tokens_kept == 1


def test_a_row_is_plain_numbers_for_a_file():
    data = json.loads(json.dumps(row([outcome()]).as_dict()))
    assert (data["group"], data["policy"], data["clips"]) == ("static lte", "janus", 1)
