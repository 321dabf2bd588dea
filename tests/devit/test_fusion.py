import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from devit.fusion import FUSIONS, Fusion, FusionSpec, Kind, drop_parts
from pipeline.errors import ConfigError

KINDS: tuple[Kind, ...] = ("linear", "mlp", "se", "attention")
DIMS = (6, 4, 8)


def fusion_of(kind: Kind, dims: tuple[int, ...] = DIMS) -> Fusion:
    torch.manual_seed(0)
    return Fusion(FusionSpec(kind, dims, hidden=10, num_classes=3)).double()


def random_tokens(batch: int = 5, seed: int = 0, dims: tuple[int, ...] = DIMS) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, dim, generator=generator, dtype=torch.double) for dim in dims]


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def plain_fusion(kind: Kind, w: dict[str, np.ndarray], tokens: list[np.ndarray]) -> np.ndarray:
    """One picture's fused token."""
    x = np.concatenate(tokens)
    if kind == "attention":
        q, k, v = np.split(
            np.array([w[f"qkv.{i}.weight"] @ t + w[f"qkv.{i}.bias"] for i, t in enumerate(tokens)]), 3, axis=1
        )
        taken = []
        for i in range(len(tokens)):
            scores = np.exp([q[i] @ k[j] / math.sqrt(len(q[i])) for j in range(len(tokens))])
            mixed = sum(scores[j] / scores.sum() * v[j] for j in range(len(tokens)))
            taken.append(w[f"proj.{i}.weight"] @ mixed + w[f"proj.{i}.bias"])
        return np.concatenate(taken)
    hidden = w["fc1.weight"] @ x + w["fc1.bias"]
    if kind == "mlp":
        hidden = np.array([h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in hidden])
    if kind == "se":
        hidden = np.maximum(hidden, 0)
    out: np.ndarray = w["fc2.weight"] @ hidden + w["fc2.bias"]
    return x / (1 + np.exp(-out)) if kind == "se" else out


@pytest.mark.parametrize("kind", KINDS)
def test_a_fusion_is_the_plain_formula(kind: Kind) -> None:
    fusion, tokens = fusion_of(kind).requires_grad_(False), random_tokens()
    output = fusion(tokens)
    for row in range(5):
        wanted = plain_fusion(kind, arrays(fusion.mix), [token[row].numpy() for token in tokens])
        np.testing.assert_allclose(output.token[row].numpy(), wanted)
    torch.testing.assert_close(output.logits, output.token @ fusion.head.weight.T + fusion.head.bias)


def test_the_paper_s_fusion_is_one_linear_map() -> None:
    fusion, one, two = fusion_of("linear"), random_tokens(seed=1), random_tokens(seed=2)
    nothing = fusion([token * 0 for token in one]).token
    both = fusion([a + b for a, b in zip(one, two, strict=True)]).token
    torch.testing.assert_close(both, fusion(one).token + fusion(two).token - nothing)


def test_all_kinds_have_about_as_many_parameters() -> None:
    sizes = []
    for kind in KINDS:
        with torch.device("meta"):
            mix = Fusion(FusionSpec(kind, (192,) * 4, hidden=1024, num_classes=100)).mix
        sizes.append(sum(parameter.numel() for parameter in mix.parameters()))
    assert set(FUSIONS) == set(KINDS)
    assert max(sizes) < 1.01 * min(sizes)
    assert min(sizes) >= 2 * 4 * 192 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_part_is_its_placeholder_whatever_came_of_it(kind: Kind) -> None:
    fusion, tokens = fusion_of(kind), random_tokens()
    present = torch.ones(5, 3, dtype=torch.bool)
    present[2, 1] = False
    instead = [token.clone() for token in tokens]
    instead[1][2] = fusion.placeholders[1].detach()
    tokens[1][2] = float("nan")
    output = fusion(tokens, present)
    torch.testing.assert_close(output.logits, fusion(instead).logits)
    output.logits.sum().backward()
    assert fusion.placeholders[1].grad is not None
    assert fusion.placeholders[1].grad.any()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in fusion.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_are_all_there_need_no_placeholder(kind: Kind) -> None:
    fusion, tokens = fusion_of(kind), random_tokens()
    everyone = torch.ones(5, 3, dtype=torch.bool)
    assert torch.equal(fusion(tokens).logits, fusion(tokens, everyone).logits)


def test_a_token_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        fusion_of("linear")(random_tokens()[:2], torch.ones(5, 2, dtype=torch.bool))


@given(st.integers(1, 50), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**31))
def test_some_part_is_always_there(batch: int, num_parts: int, p: float, seed: int) -> None:
    present = drop_parts(batch, num_parts, torch.Generator().manual_seed(seed), p)
    assert present.shape == (batch, num_parts)
    assert present.dtype == torch.bool
    assert present.any(1).all()


def test_parts_go_missing_as_often_as_asked_and_evenly() -> None:
    generator = torch.Generator().manual_seed(0)
    assert drop_parts(100, 4, generator, 0.0).all()
    share = drop_parts(20000, 4, generator, 0.3).double().mean(0)
    torch.testing.assert_close(share, torch.full((4,), 0.7 + 0.3**4 / 4).double(), rtol=0, atol=0.015)
    alone = drop_parts(20000, 4, generator, 1.0)
    assert (alone.sum(1) == 1).all()
    torch.testing.assert_close(alone.double().mean(0), torch.full((4,), 0.25).double(), rtol=0, atol=0.015)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ConfigError, match="probability of 0 to 1"):
        drop_parts(1, 2, torch.Generator(), p)


@pytest.mark.parametrize(
    ("kind", "dims", "hidden", "said"),
    [
        ("sum", DIMS, 8, "fusion 'sum' is unknown; choose linear, mlp, se, attention"),
        ("linear", (), 8, "must be 1 to 65536"),
        ("linear", (6, 0), 8, r"must be 1 to 65536, not \(6, 0, 8, 3\)"),
        ("linear", (6, True), 8, r"must be 1 to 65536, not \(6, True, 8, 3\)"),
        ("attention", DIMS, 9, "even hidden size, not 9"),
    ],
)
def test_what_cannot_be_built_is_refused(kind: Kind, dims: tuple[int, ...], hidden: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FusionSpec(kind, dims, hidden, 3)
