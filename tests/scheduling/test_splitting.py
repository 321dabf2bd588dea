from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.splitting import split_points


@pytest.mark.parametrize(
    ("num_layers", "k", "points"),
    [
        (12, 3, (0, 1, 2, 3, 4, 5, 7, 9, 11, 13)),
        (24, 5, (0, 1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 18, 21, 24, 25)),
    ],
)
def test_points_follow_the_recurrence(num_layers, k, points):
    assert split_points(num_layers, k) == points


@given(st.integers(1, 60), st.integers(1, 20))
def test_gaps_grow_from_front_to_back(num_layers, k):
    points = split_points(num_layers, k)
    inner = points[1:-1]
    gaps = [b - a for a, b in pairwise(inner)]
    assert points[0] == 0
    assert points[-1] == num_layers + 1
    assert gaps == [ceil(i * k / num_layers) for i in range(1, len(inner))]
    assert inner[-1] <= num_layers < inner[-1] + ceil(len(inner) * k / num_layers)


@given(st.integers(1, 60), st.integers(1, 19))
def test_a_smaller_k_is_denser(num_layers, k):
    assert len(split_points(num_layers, k)) >= len(split_points(num_layers, k + 1))
