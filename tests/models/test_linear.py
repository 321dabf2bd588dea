import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.linear import Int8Linear, Int8OneDnnLinear, Linear, OneDnnLinear, _padded, quantise

needs_onednn = pytest.mark.skipif(not OneDnnLinear.is_available(torch.float32), reason="torch without oneDNN")
needs_amx = pytest.mark.skipif(not Int8OneDnnLinear.is_available(), reason="CPU without AMX")


def plain(fan_in: int = 48, fan_out: int = 80) -> Linear:
    linear = Linear(fan_in, fan_out).requires_grad_(False)
    linear.weight.normal_()
    linear.bias.normal_()
    return linear


def all_three(linear: torch.nn.Module, x: Tensor, residual: Tensor) -> list[Tensor]:
    return [linear(x.clone()), linear.gelu(x.clone()), linear.add(x.clone(), residual.clone())]


@needs_onednn
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_onednn_computes_what_the_plain_form_does(dtype: torch.dtype, tolerance: float) -> None:
    linear, x, residual = plain(), torch.randn(3, 7, 48).to(dtype), torch.randn(3, 7, 80).to(dtype)
    wanted = all_three(linear, x.float(), residual.float())
    for ours, reference in zip(all_three(OneDnnLinear(linear, dtype), x, residual), wanted, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), reference, rtol=tolerance, atol=tolerance * 4)


@needs_onednn
@pytest.mark.parametrize("batch", [1, 2, 5, 16])
@pytest.mark.parametrize("tokens", [1, 33, 197])
def test_one_packing_serves_every_batch(batch: int, tokens: int) -> None:
    linear, x = plain(), torch.randn(batch, tokens, 48)
    torch.testing.assert_close(OneDnnLinear(linear, torch.float32)(x), linear(x), rtol=1e-5, atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 40), st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_a_token_is_quantised_to_within_half_a_step(rows: int, width: int, size: float, seed: int) -> None:
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) * size
    quantised, scale = quantise(x.clone())
    assert quantised.dtype == torch.int8
    assert ((quantised * scale - x).abs() <= scale * 0.501).all()
    assert (quantised.abs().amax(1) == 127).all()


def test_an_empty_token_stays_zero() -> None:
    quantised, scale = quantise(torch.zeros(2, 5))
    assert not quantised.any()
    assert (scale > 0).all()


def test_int8_is_the_exact_product_of_the_quantised_values() -> None:
    linear, x, residual = plain(), torch.randn(2, 9, 48), torch.randn(2, 9, 80)
    tokens, token_scale = quantise(x.reshape(-1, 48).clone())
    weights, channel_scale = quantise(linear.weight.clone())
    product = (tokens.double() * token_scale) @ (weights.double() * channel_scale).T + linear.bias
    product = product.view(2, 9, 80).float()
    wanted = [product, torch.nn.functional.gelu(product), product + residual]
    for ours, reference in zip(
        all_three(Int8Linear(linear, torch.float32), x, residual), wanted, strict=True
    ):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


@needs_amx
@pytest.mark.parametrize("tokens", [1, 9, 197])
def test_both_int8_forms_agree_to_the_bit(tokens: int) -> None:
    linear, x, residual = plain(), torch.randn(2, tokens, 48), torch.randn(2, tokens, 80)
    forms = [form(linear, torch.bfloat16) for form in (Int8Linear, Int8OneDnnLinear)]
    for one, other in zip(*(all_three(form, x, residual) for form in forms), strict=True):
        assert torch.equal(one, other)


def test_a_token_never_depends_on_its_neighbours_in_int8() -> None:
    form, x = Int8Linear(plain(), torch.float32), torch.randn(4, 48)
    louder = torch.cat([x[:2], x[2:] * 1000])
    assert torch.equal(form(x.clone())[:2], form(louder)[:2])


def test_the_residual_is_left_alone() -> None:
    residual = torch.randn(5, 80)
    before = residual.clone()
    for form in (plain(), Int8Linear(plain(), torch.float32)):
        form.add(torch.randn(5, 48), residual)
    assert torch.equal(residual, before)


@pytest.mark.parametrize(("rows", "padded"), [(1, 24), (16, 24), (17, 24), (24, 24), (25, 32), (197, 200)])
def test_integer_products_on_cuda_get_the_rows_they_need(rows: int, padded: int) -> None:
    class OnCuda(torch.Tensor):
        is_cuda = True

    x = torch.ones(rows, 8, dtype=torch.int8)
    result = _padded(x.as_subclass(OnCuda))
    assert result.shape == (padded, 8)
    assert result.sum() == rows * 8
    assert _padded(x) is x
