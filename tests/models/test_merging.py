import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.plain import plain_merge
from models.merging import Tokens, merge
from pipeline.errors import ModelError


def random_clips(batch: int, n: int, seed: int) -> tuple[Tokens, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size = torch.randint(1, 9, (batch, n), generator=generator).float()
    x = torch.randn(batch, n, 8, generator=generator)
    keys = torch.randn(batch, 2, n, 4, generator=generator)
    return Tokens(x, size), keys


@st.composite
def merges(draw: st.DrawFn) -> tuple[Tokens, Tensor, int, int]:
    prefix, n = draw(st.integers(0, 2)), draw(st.integers(2, 40))
    most = (n - 1) // 2 if n > prefix + 1 else 0
    removed = draw(st.integers(0, most))
    return *random_clips(draw(st.integers(1, 3)), n, draw(st.integers(0, 2**31))), removed, prefix


@given(merges())
@settings(deadline=None)
def test_merging_is_the_plain_formula(case: tuple[Tokens, Tensor, int, int]) -> None:
    tokens, keys, removed, prefix = case
    merged = merge(tokens, keys, removed, prefix)
    x, size = plain_merge(tokens.x, tokens.size, keys, removed, prefix)
    assert torch.equal(merged.size, size)
    torch.testing.assert_close(merged.x, x, rtol=1e-5, atol=1e-5)


@given(merges())
@settings(deadline=None)
def test_nothing_is_lost_and_the_prefix_is_left_alone(case: tuple[Tokens, Tensor, int, int]) -> None:
    tokens, keys, removed, prefix = case
    merged = merge(tokens, keys, removed, prefix)
    assert merged.x.shape[1] == tokens.x.shape[1] - removed
    assert torch.equal(merged.size.sum(1), tokens.size.sum(1))
    assert torch.equal(merged.x[:, :prefix], tokens.x[:, :prefix])
    assert torch.equal(merged.size[:, :prefix], tokens.size[:, :prefix])
    weighted = [(clip.x * clip.size.unsqueeze(-1)).sum(1) for clip in (merged, tokens)]
    torch.testing.assert_close(*weighted, rtol=1e-4, atol=1e-3)


@given(merges())
@settings(deadline=None)
def test_a_clip_is_merged_as_if_it_were_alone(case: tuple[Tokens, Tensor, int, int]) -> None:
    tokens, keys, removed, prefix = case
    merged = merge(tokens, keys, removed, prefix)
    for index in range(len(keys)):
        alone = Tokens(tokens.x[index : index + 1], tokens.size[index : index + 1])
        single = merge(alone, keys[index : index + 1], removed, prefix)
        assert torch.equal(single.size[0], merged.size[index])
        torch.testing.assert_close(single.x[0], merged.x[index], rtol=1e-6, atol=1e-6)


def test_the_most_alike_are_merged_by_weight() -> None:
    keys = torch.eye(6).view(1, 1, 6, 6).clone()
    keys[0, 0, 4] = keys[0, 0, 1]
    x = torch.arange(6.0).view(1, 6, 1)
    merged = merge(Tokens(x, torch.tensor([[1.0, 3, 1, 1, 1, 1]])), keys, 1, prefix=1)
    assert merged.x.flatten().tolist() == [0, 2, (3 * 1 + 1 * 4) / 4, 3, 5]
    assert merged.size.tolist() == [[1, 1, 4, 1, 1]]


def test_several_tokens_may_land_on_one() -> None:
    keys = torch.ones(1, 1, 5, 3)
    keys[0, 0, 3] = -1
    merged = merge(Tokens(torch.arange(5.0).view(1, 5, 1), torch.ones(1, 5)), keys, 2, prefix=1)
    assert merged.x.flatten().tolist() == [0, pytest.approx((1 + 2 + 4) / 3), 3]
    assert merged.size.tolist() == [[1, 3, 1]]


def test_keys_of_zero_do_no_harm() -> None:
    tokens, _ = random_clips(2, 9, 0)
    merged = merge(tokens, torch.zeros(2, 2, 9, 4), 3, prefix=1)
    assert torch.isfinite(merged.x).all()


def test_the_number_type_of_the_tokens_is_kept() -> None:
    tokens, keys = random_clips(2, 9, 0)
    merged = merge(Tokens(tokens.x.bfloat16(), tokens.size), keys.bfloat16(), 3, prefix=1)
    assert (merged.x.dtype, merged.size.dtype) == (torch.bfloat16, torch.float32)


@given(st.integers(1, 30), st.integers(0, 2), st.integers(-2, 40))
@settings(deadline=None)
def test_more_than_can_be_merged_is_refused(n: int, prefix: int, removed: int) -> None:
    assume(n >= prefix)
    evens, odds = len(range(0, n, 2)) - (prefix + 1) // 2, len(range(1, n, 2)) - prefix // 2
    most = evens if odds > 0 else 0
    assume(not 0 <= removed <= most)
    tokens, keys = random_clips(1, n, 0)
    with pytest.raises(ModelError, match=f"{n} tokens, {prefix} of them protected, can merge 0 to {most}"):
        merge(tokens, keys, removed, prefix)


def test_merging_trains_after_it_has_served_the_same_shape() -> None:
    tokens, keys = random_clips(2, 11, 0)
    with torch.inference_mode():
        served = merge(tokens, keys, 3, prefix=1)
    x = tokens.x.clone().requires_grad_()
    trained = merge(Tokens(x, tokens.size), keys.requires_grad_(), 3, prefix=1)
    trained.x.sum().backward()
    assert torch.equal(trained.x, served.x)
    assert x.grad is not None
    assert keys.grad is None
