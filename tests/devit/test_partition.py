import pytest
from hypothesis import given
from hypothesis import strategies as st

from devit.partition import partition
from pipeline.errors import ConfigError


@st.composite
def numbers(draw: st.DrawFn) -> tuple[int, int, int]:
    num_classes = draw(st.integers(1, 120))
    return num_classes, draw(st.integers(1, num_classes)), draw(st.integers(0, 2**31))


@given(numbers())
def test_every_class_is_in_exactly_one_part(case: tuple[int, int, int]) -> None:
    parts = partition(*case)
    assert sorted(label for part in parts for label in part) == list(range(case[0]))
    assert all(list(part) == sorted(part) for part in parts)


@given(numbers())
def test_sizes_are_those_of_the_formula(case: tuple[int, int, int]) -> None:
    num_classes, num_parts, _ = case
    wanted = [num_classes // num_parts + (i <= num_classes % num_parts) for i in range(1, num_parts + 1)]
    assert [len(part) for part in partition(*case)] == wanted


def test_the_seed_alone_decides() -> None:
    assert partition(100, 4, 1) == partition(100, 4, 1)
    assert len({partition(100, 4, seed) for seed in range(20)}) == 20


def test_classes_are_drawn_evenly() -> None:
    first = [partition(10, 5, seed)[0] for seed in range(500)]
    counts = [sum(label in part for part in first) for label in range(10)]
    assert min(counts) > 60
    assert max(counts) < 140


@pytest.mark.parametrize(
    ("num_classes", "num_parts", "seed"), [(3, 4, 0), (3, 0, 0), (0, 0, 0), (4, 2, -1), (4, 2, 2**64)]
)
def test_impossible_numbers_are_refused(num_classes: int, num_parts: int, seed: int) -> None:
    with pytest.raises(
        ConfigError, match=f"{num_classes} classes cannot be split into {num_parts} parts with seed {seed}"
    ):
        partition(num_classes, num_parts, seed)
