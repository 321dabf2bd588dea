from functools import cache

import numpy as np
import pytest
import timm
import torch

from models import SplitViT, build_model, create_model, list_models
from models.merging import Tokens
from models.registry import get_architecture
from pipeline.errors import ModelError
from pipeline.items import Pruning
from scheduling.pruning import exponential, none, uniform

IMAGE_MODELS = [name for name in list_models() if get_architecture(name).clip_frames == 1]
SMALL = [name for name in IMAGE_MODELS if "tiny" in name or "small" in name]
LARGE = [name for name in IMAGE_MODELS if name not in SMALL]
DTYPES = ["float32", "bfloat16", "int8"]


def scatter(model: torch.nn.Module) -> None:
    """Move every weight and bias away from where it starts, so that none can be left out unseen."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.03)


def largest_difference_to_timm(name: str, depth: int | None = None, pool: str = "token") -> float:
    torch.manual_seed(0)
    extra = {} if pool == "token" else {"global_pool": "avg"}
    if depth is not None:
        extra["depth"] = depth
    reference = timm.create_model(name, **extra).eval()
    scatter(reference)
    spec = get_architecture(name)
    spec = spec.pooled_by_mean() if pool == "mean" else spec
    ours = SplitViT(spec.with_layers(depth or spec.num_layers))
    ours.load_state_dict(reference.state_dict(), strict=True)
    pixels = torch.randn(1, 3, spec.input_size, spec.input_size)
    with torch.no_grad():
        wanted = reference(pixels)
        assert wanted.std() > 0.1
        return float((ours(pixels) - wanted).abs().max())


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_timms_own(name: str) -> None:
    assert largest_difference_to_timm(name) < 1e-4


@pytest.mark.parametrize("name", LARGE)
def test_logits_of_wide_models_are_timms_own_over_two_layers(name: str) -> None:
    assert largest_difference_to_timm(name, depth=2) < 1e-4


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch16_224"])
def test_logits_of_mean_pooled_models_are_timms_own(name: str) -> None:
    assert largest_difference_to_timm(name, depth=4, pool="mean") < 1e-4


def prunings(model: SplitViT) -> list[Pruning]:
    layers, tokens = model.num_layers, model.num_tokens
    return [none(layers, tokens), uniform(8, layers, tokens), exponential(0.3, layers, tokens)]


@cache
def served(name: str, dtype: str) -> tuple[SplitViT, torch.Tensor]:
    model = create_model(name, "random", dtype=dtype)  # type: ignore[arg-type]
    size = model.input_size
    frames = np.random.default_rng(0).integers(0, 256, (2, model.clip_frames, size, size, 3), dtype=np.uint8)
    return model, model.preprocess(frames)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["motions", "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
@pytest.mark.parametrize("rule", [0, 1, 2])
def test_a_cut_after_any_layer_changes_no_bit(name: str, dtype: str, rule: int) -> None:
    model, pixels = served(name, dtype)
    pruning = prunings(model)[rule]
    uncut = model(pixels, pruning)
    tokens = model.embed(pixels)
    for split in range(model.num_layers + 1):
        wire = [model.to_features(tokens, index) for index in range(len(pixels))]
        assert all(array.dtype == np.float32 and sizes.dtype == np.uint16 for array, sizes in wire)
        tail = model.run_layers(model.from_features(wire), split, model.num_layers, pruning)
        assert torch.equal(model.classify(tail), uncut), split
        if split < model.num_layers:
            tokens = model.run_layers(tokens, split, split + 1, pruning)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pruning_leaves_the_tokens_it_promises(dtype: str) -> None:
    model, pixels = served("motions", dtype)
    for pruning in prunings(model):
        tokens = model.run_layers(model.embed(pixels), 0, 7, pruning)
        assert tokens.x.shape == (2, pruning.tokens_after(model.num_tokens, 7), model.dim)
        assert (tokens.size.sum(1) == model.num_tokens).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.05), ("int8", 0.1)])
def test_smaller_numbers_stay_near_float32(dtype: str, tolerance: float) -> None:
    exact, pixels = served("vit_tiny_patch16_224", "float32")
    logits, near = exact(pixels), served("vit_tiny_patch16_224", dtype)[0](pixels)
    assert near.dtype == torch.float32
    assert 0 < (near - logits).norm() / logits.norm() < tolerance


def test_image_pixels_may_carry_a_time_axis_of_one() -> None:
    model, pixels = served("vit_tiny_patch16_224", "float32")
    assert torch.equal(model(pixels.unsqueeze(2)), model(pixels))


def test_the_mean_weighs_a_token_by_the_patches_it_stands_for() -> None:
    model = create_model("motions", "random")
    x = torch.randn(1, 129, 128)
    x[:, 2] = x[:, 1]
    joined = Tokens(torch.cat([x[:, :2], x[:, 3:]], 1), torch.ones(1, 128))
    joined.size[:, 1] = 2
    separate = model.classify(Tokens(x, torch.ones(1, 129)))
    torch.testing.assert_close(model.classify(joined), separate, rtol=1e-5, atol=1e-6)


def test_the_models_that_pool_by_class_token_ignore_the_other_tokens() -> None:
    model = create_model("vit_tiny_patch16_224", "random")
    x = torch.randn(1, 20, 192)
    other = torch.cat([x[:, :1], torch.randn(1, 19, 192)], 1)
    ones = torch.ones(1, 20)
    assert torch.equal(model.classify(Tokens(x, ones)), model.classify(Tokens(other, ones)))


def test_layers_that_are_not_there_are_refused() -> None:
    model, pixels = served("motions", "float32")
    tokens = model.embed(pixels)
    for start, stop, removed in [(0, 13, 12), (5, 4, 12), (-1, 3, 12), (0, 12, 11)]:
        with pytest.raises(ModelError, match=f"motions has 12 layers: cannot run {start} to {stop}"):
            model.run_layers(tokens, start, stop, none(removed, 129))


def test_clips_of_two_lengths_do_not_share_a_batch() -> None:
    model, pixels = served("motions", "float32")
    long = model.to_features(model.embed(pixels))
    short = (long[0][:100], long[1][:100])
    with pytest.raises(ModelError, match=r"one shape.*\(100, 128\), \(129, 128\)"):
        model.from_features([long, short])


def test_gradients_flow_through_merging() -> None:
    model = build_model("motions", seed=0)
    pixels = torch.randn(1, 3, 16, 64, 64)
    model(pixels, uniform(8, model.num_layers, model.num_tokens)).logsumexp(-1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
