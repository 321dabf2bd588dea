from dataclasses import replace

import pytest
import torch

from devit.architecture import CCT_14, DECCT, Architecture
from devit.backbones import build, run
from tests.devit.small import CCT, VIT, pixels_for


@pytest.mark.parametrize(("architecture", "millions"), [(CCT_14, 22.4), (DECCT.with_classes(25), 18.3 / 4)])
def test_it_has_as_many_parameters_as_the_paper_says(architecture: Architecture, millions: float) -> None:
    with torch.device("meta"):
        model = build(architecture)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(millions * 1e6, rel=0.01)


def test_its_blocks_have_the_names_of_a_vit() -> None:
    cct, vit = (set(build(a).state_dict()) for a in (CCT, VIT))
    assert {name for name in cct if name.startswith("blocks.")} == {
        name for name in vit if name.startswith("blocks.")
    }


def test_the_pooled_vector_is_the_tokens_weighted_by_softmax() -> None:
    model = build(CCT, seed=0).eval()
    tokens = model.forward_features(pixels_for(CCT)).detach()  # type: ignore[operator]
    weight, bias = model.attention_pool.weight[0], model.attention_pool.bias  # type: ignore[union-attr, index]
    for picture, pooled in zip(tokens, run(model, pixels_for(CCT)).token, strict=True):
        scores = [(token @ weight + bias).exp().item() for token in picture]
        wanted = sum(score / sum(scores) * token for score, token in zip(scores, picture, strict=True))
        torch.testing.assert_close(pooled, wanted, rtol=1e-4, atol=1e-5)


def test_tokens_are_what_no_stage_made_negative() -> None:
    model, pixels = build(CCT, seed=0), pixels_for(CCT).double().requires_grad_()
    tokenizer = model.patch_embed.double()  # type: ignore[union-attr, operator]
    first, last, pool = tokenizer.first[0], tokenizer.proj, tokenizer.pool  # type: ignore[index, union-attr]
    wanted = pool(last(pool(first(pixels).clamp(min=0))).clamp(min=0))
    for index, token in enumerate(tokenizer(pixels).unbind(1)):
        torch.testing.assert_close(token, wanted[:, :, index // 2, index % 2])


def test_tokens_stand_row_by_row_and_positions_tell_them_apart() -> None:
    model = build(replace(CCT, input_size=64), seed=0).eval()
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., :16, 48:] = 5
    changed = (model.patch_embed(picture) - model.patch_embed(picture * 0)).abs().sum(-1)[0]  # type: ignore[operator]
    assert changed.argmax() == 3
    tokens = model.forward_features(torch.zeros(1, 3, 64, 64))  # type: ignore[operator]
    assert not torch.allclose(tokens[0, 5], tokens[0, 6], atol=1e-3)


def test_training_reaches_every_weight() -> None:
    model = build(CCT, seed=0)
    run(model, pixels_for(CCT)).logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
