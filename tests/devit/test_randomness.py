import torch
from hypothesis import given
from hypothesis import strategies as st

from devit.randomness import generator_of, seeded

NUMBERS = st.integers(0, 2**31 - 1)
# Zeros behind a key add nothing to it, so keys are told apart only from others of their length.
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4)


@given(PAIRS)
def test_a_key_fixes_what_is_drawn_and_another_of_its_length_draws_other_numbers(
    pairs: list[tuple[int, int]],
) -> None:
    one, two = zip(*pairs, strict=True)
    first, again = (torch.rand(4, generator=generator_of(*one)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first, torch.rand(4, generator=generator_of(*two))) == (one == two)


def test_within_it_torch_draws_by_the_key_and_after_it_as_if_nothing_had_been() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1, 2) as generator:
        own, drawn = torch.rand(3, generator=generator), torch.rand(3)
    assert torch.equal(torch.rand(3), wanted)
    with seeded(1, 2) as generator:
        assert torch.equal(torch.rand(3, generator=generator), own)
        assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(own, drawn)
