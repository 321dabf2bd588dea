import pytest
import torch
import torch.nn.functional as F

from benchmarks.plain import plain_layer
from models.initial import initialise
from models.layer import Layer
from models.merging import Tokens


def random_layer(prefix: int) -> Layer:
    layer = Layer(64, 4, prefix).requires_grad_(False)
    initialise(layer, 0)
    return layer


@pytest.mark.parametrize("prefix", [0, 1, 2])
@pytest.mark.parametrize("removed", [0, 1, 9])
def test_a_layer_is_the_plain_formulation(prefix: int, removed: int) -> None:
    layer, size = random_layer(prefix), torch.randint(1, 6, (2, 21)).float()
    tokens = Tokens(torch.randn(2, 21, 64), size)
    ours, plain = layer(tokens, removed, True), plain_layer(layer, tokens, removed)
    assert torch.equal(ours.size, plain.size)
    torch.testing.assert_close(ours.x, plain.x, rtol=1e-4, atol=1e-5)


def test_a_token_counts_for_as_many_patches_as_it_stands_for() -> None:
    layer, x = random_layer(0), torch.randn(1, 6, 64)
    double = torch.cat([x, x[:, -1:]], 1)
    size = torch.tensor([[1.0, 1, 1, 1, 1, 2]])
    one, two = layer(Tokens(x, size), 0, True), layer(Tokens(double, torch.ones(1, 7)), 0, False)
    torch.testing.assert_close(one.x, two.x[:, :6], rtol=1e-4, atol=1e-5)


def test_attention_takes_no_mask_until_tokens_have_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    masks: list[torch.Tensor | None] = []
    attention = F.scaled_dot_product_attention

    def spy(*args: torch.Tensor, attn_mask: torch.Tensor | None) -> torch.Tensor:
        masks.append(attn_mask)
        return attention(*args, attn_mask=attn_mask)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    layer, tokens = random_layer(1), Tokens(torch.randn(1, 9, 64), torch.ones(1, 9))
    merged = layer(tokens, 2, merged=False)
    layer(merged, 0, merged=True)
    assert masks[0] is None
    assert masks[1] is not None
    assert torch.equal(masks[1].flatten(), merged.size.log().flatten())
