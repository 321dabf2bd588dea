import pytest

from commands.evaluation.cells import Cell, grid, listed, listed_splits, middle_splits
from pipeline.errors import ConfigError
from scheduling.pruning import none, uniform

NONE, SOME = none(12, 129), uniform(4, 12, 129)


def test_each_pruning_is_measured_unencoded_and_with_every_codec_where_it_fits():
    cells = grid([NONE, SOME, NONE], ["png", "int8+zstd", "jpeg"], [6, 3, 6], 12)
    ways = [(None, None), ("png", 0), ("int8+zstd", 3), ("int8+zstd", 6), ("jpeg:90", 0)]
    assert cells == [Cell(pruning, *way) for pruning in (NONE, SOME) for way in ways]
    assert [str(cell) for cell in cells[4:6]] == ["none, jpeg:90 at split 0", "uniform:4"]


@pytest.mark.parametrize("split", [0, 13, -1])
def test_tokens_cannot_cross_where_there_are_none(split):
    with pytest.raises(ConfigError, match="layer 1 to 12"):
        grid([NONE], ["int8"], [6, split], 12)


def test_a_codec_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="gzip"):
        grid([NONE], ["gzip"], [6], 12)


@pytest.mark.parametrize(("layers", "splits"), [(12, (3, 6, 9)), (24, (6, 12, 18)), (1, (1,)), (2, (1,))])
def test_tokens_are_measured_at_the_quarters_of_the_depth(layers, splits):
    assert middle_splits(layers) == splits


def test_lists_are_written_with_commas():
    assert listed("png, jpeg:90") == ("png", "jpeg:90")
    assert listed(None) == listed("none") == ()
    assert listed_splits("3,6") == (3, 6)
    assert listed_splits(None) == ()
    with pytest.raises(ConfigError, match="such as 3,6,9"):
        listed_splits("3,x")
