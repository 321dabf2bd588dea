from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.levels import (
    Level,
    Levels,
    exponential_prunings,
    fidelity,
    most_uniform,
    parse_levels,
)
from scheduling.pruning import none, uniform
from tests.scheduling.machines import NUM_LAYERS, NUM_TOKENS

CODECS = ("int4+zstd", "jpeg:80", "int8+zstd", None, "jpeg:95", "float16", "h264:23", "float32+lzw")
LIGHT, HEAVY = none(12, 197), uniform(8, 12, 197)
ACCURACIES = st.lists(
    st.builds(
        Level,
        st.sampled_from([uniform(r, 12, 197) for r in range(5)]),
        st.sampled_from(["int8", "int4", "float32"]),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=12,
)


def file_of(*rows, **rest):
    return {"schema": 1, "model": "small", "levels": list(rows), **rest}


def row(pruning="none", codec="int8", accuracy=0.8, **rest):
    return {"pruning": pruning, "codec": codec, "accuracy": accuracy, **rest}


def parsed(data):
    return parse_levels(data, "mine.yaml", "small", NUM_LAYERS, NUM_TOKENS)


def names(levels):
    return [[(str(level.pruning), level.codec) for level in group] for group in levels.groups]


def test_codecs_are_ordered_from_lossless_to_worst():
    assert sorted(CODECS, key=fidelity) == [
        None,
        "float32+lzw",
        "float16",
        "int8+zstd",
        "jpeg:95",
        "jpeg:80",
        "h264:23",
        "int4+zstd",
    ]
    assert fidelity("h264:18") < fidelity("h264:23") < fidelity("h264:51") < fidelity("int4")
    assert fidelity("png") == fidelity("raw+zstd") == fidelity("raw32+lzw") == 0


@pytest.mark.parametrize("codec", ["webp:80", "float64", "jpeg:best", "jpeg:101", "h264:52", "h264:-1"])
def test_a_codec_of_unknown_fidelity_is_refused_by_name(codec):
    with pytest.raises(ConfigError, match=f"codec {codec}"):
        fidelity(codec)


def test_without_measurements_a_lighter_pruning_counts_for_more_than_any_codec():
    levels = Levels.unmeasured([LIGHT, HEAVY], CODECS)
    flat = [level for group in levels.groups for level in group]
    assert [level.pruning for level in flat] == [LIGHT] * len(CODECS) + [HEAVY] * len(CODECS)
    for pruning in (LIGHT, HEAVY):
        codecs = [level.codec for level in flat if level.pruning == pruning]
        assert codecs == sorted(CODECS, key=fidelity)


def test_with_a_tolerance_codecs_down_to_jpeg_95_count_as_equal():
    first, *rest = Levels.unmeasured([LIGHT], CODECS).groups
    assert {level.codec for level in first} == {None, "float32+lzw", "float16", "int8+zstd", "jpeg:95"}
    assert [[level.codec for level in group] for group in rest] == [["jpeg:80"], ["h264:23"], ["int4+zstd"]]


def test_tolerance_zero_sets_every_loss_apart():
    groups = Levels.unmeasured([LIGHT], CODECS, tolerance=0).groups
    assert [len(group) for group in groups] == [2, 1, 1, 1, 1, 1, 1]
    assert {level.codec for level in groups[0]} == {None, "float32+lzw"}


def test_measured_levels_are_ordered_by_their_accuracy_alone():
    levels = [Level(LIGHT, "int4", 0.70), Level(HEAVY, "int8", 0.80), Level(LIGHT, "int8", 0.75)]
    assert names(Levels.measured(levels, tolerance=0)) == [
        [("uniform:8", "int8"), ("uniform:8", None)],
        [("none", "int8"), ("none", None)],
        [("none", "int4")],
    ]


def test_nothing_is_lost_on_the_device_but_what_the_file_says():
    levels = [Level(LIGHT, "int8", 0.75), Level(LIGHT, None, 0.5), Level(HEAVY, "int4", 0.6)]
    on_device = {
        level.pruning: level.accuracy
        for group in Levels.measured(levels).groups
        for level in group
        if level.codec is None
    }
    assert on_device == {LIGHT: 0.5, HEAVY: 0.6}


@given(ACCURACIES, st.floats(0, 0.3), st.none() | st.floats(0, 0.5))
def test_groups_hold_what_is_within_the_tolerance_and_levels_what_may_be_lost(levels, tolerance, most_lost):
    groups = Levels.measured(levels, tolerance, most_lost).groups
    flat = [level.accuracy for group in groups for level in group]
    assert flat == sorted(flat, reverse=True)
    for group, following in zip(groups, (*groups[1:], None), strict=True):
        assert group[-1].accuracy >= group[0].accuracy - tolerance - 1e-6
        assert following is None or following[0].accuracy < group[0].accuracy - tolerance
    best = max(level.accuracy for level in levels)
    assert flat[0] == best
    kept = {level for group in groups for level in group}
    for level in levels:
        if most_lost is None or level.accuracy > best - most_lost + 1e-6:
            assert level in kept
        elif level.accuracy < best - most_lost - 1e-6:
            assert level not in kept


def test_what_is_just_within_the_tolerance_is_equal_in_spite_of_rounding():
    levels = [Level(LIGHT, "int8", 0.8), Level(LIGHT, "int4", 0.7)]
    assert 0.8 - 0.1 > 0.7
    assert len(Levels.measured(levels, tolerance=0.1).groups) == 1
    assert len(Levels.measured(levels, tolerance=0.09).groups) == 2


def test_a_level_without_accuracy_has_no_place_among_measured_ones():
    with pytest.raises(ConfigError, match="none, int8: has no measured accuracy"):
        Levels.measured([Level(LIGHT, "int8")])


@given(st.integers(1, 30), st.integers(2, 1600))
def test_prunings_run_from_none_to_the_heaviest_each_unlike_the_one_before(num_layers, num_tokens):
    prunings = exponential_prunings(num_layers, num_tokens)
    assert prunings[0] == none(num_layers, num_tokens)
    removed = [pruning.removed for pruning in prunings]
    assert all(lighter != heavier for lighter, heavier in pairwise(removed))
    parameters = [pruning.parameter for pruning in prunings]
    assert parameters == sorted(set(parameters))


@given(st.integers(1, 200))
def test_fewer_prunings_keep_both_ends(most):
    every, some = exponential_prunings(24, 577), exponential_prunings(24, 577, most)
    assert len(some) == min(most, len(every))
    assert some[0] == every[0] and (most == 1 or some[-1] == every[-1])
    assert len(set(some)) == len(some)


@pytest.mark.parametrize(("layers", "tokens", "most"), [(24, 577, 23), (24, 1568, 65), (12, 197, 16)])
def test_the_strongest_uniform_pruning_is_that_of_the_token_merging_paper(layers, tokens, most):
    assert most_uniform(layers, tokens) == most


def test_a_level_file_reads_as_its_rows():
    data = file_of(row(), row("uniform:3", None, 0.7, agreement=0.9, dominated=True), data="500 images")
    assert parsed(data) == [
        Level(none(NUM_LAYERS, NUM_TOKENS), "int8", 0.8),
        Level(uniform(3, NUM_LAYERS, NUM_TOKENS), None, 0.7),
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "file: "),
        (None, "file: "),
        ({}, "model: Field required"),
        (file_of(), "levels: "),
        (file_of(row(), model="large"), "was measured for model large, not for small"),
        (file_of(row(), schema=2), "schema: "),
        (file_of(row(), rows=1), "rows: "),
        (file_of(row(accuracy=80)), "levels.0.accuracy: "),
        (file_of(row(accuracy=float("nan"))), "levels.0.accuracy: "),
        (file_of(row(), row(accuracy=None)), "levels.1.accuracy: "),
        (file_of({"codec": "int8", "accuracy": 1}), "levels.0.pruning: Field required"),
        (file_of(row(), row("top:3")), "levels.1: pruning 'top:3' is unknown"),
        (file_of(row("exponential:9")), "levels.0: pruning 'exponential:9': alpha must be"),
        (file_of("none"), "levels.0: "),
        (file_of(*[row()] * 10_001), "levels: "),
        ({1: 2}, ""),
        (file_of(row(), **{"\x1b[2J\nok": 1}), "x1b"),
        (file_of(row(), **{"k" * 5000: 1}), "kkk"),
        (file_of(row("none\n\x1b[2J")), "levels.0.pruning: "),
        (file_of(row("uniform:" + "9" * 5000)), "levels.0.pruning: "),
        (file_of(row(codec="int8\nok")), "levels.0.codec: "),
        (file_of(row(), model="small\x1b[2J"), "model: "),
    ],
)
def test_a_wrong_level_file_is_refused_in_one_short_line_that_names_the_place(data, problem):
    with pytest.raises(ConfigError) as caught:
        parsed(data)
    message = str(caught.value)
    assert message.startswith("mine.yaml: ") and problem in message
    assert message.isprintable() and len(message) < 400
