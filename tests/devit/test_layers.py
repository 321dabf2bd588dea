import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devit.layers import first_layers, layer_map
from pipeline.errors import ConfigError


@given(st.integers(1, 40), st.integers(0, 40))
def test_layers_rise_to_the_last_as_the_formula_says(small: int, more: int) -> None:
    large, found = small + more, layer_map(small, small + more)
    assert [layer + 1 for layer in found] == [math.ceil(j * large / small) for j in range(1, small + 1)]
    assert list(found) == sorted(set(found))
    assert found[-1] == large - 1


def test_half_the_layers_are_every_second() -> None:
    assert layer_map(7, 14) == (1, 3, 5, 7, 9, 11, 13)
    assert layer_map(12, 12) == tuple(range(12))


def test_a_small_model_begins_with_the_first_layers() -> None:
    assert first_layers(3, 7) == (0, 1, 2)
    assert first_layers(7, 7) == tuple(range(7))


@pytest.mark.parametrize("layers", [first_layers, layer_map])
@pytest.mark.parametrize(("small", "large"), [(0, 3), (4, 3)])
def test_too_many_layers_are_refused(
    layers: Callable[[int, int], tuple[int, ...]], small: int, large: int
) -> None:
    with pytest.raises(ConfigError, match=f"{large} layers cannot be shrunk to {small}: choose 1 to {large}"):
        layers(small, large)
