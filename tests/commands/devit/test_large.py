from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from commands.devit.large import large_architecture, load_large, small_architecture
from devit.architecture import CCT_14, Architecture
from models.checkpoints import load_into
from models.preprocessing import preprocess
from models.registry import Architecture as SplitArchitecture
from models.registry import get_architecture, list_models
from models.vit import SplitViT
from models.weight_files import read_checkpoint
from pipeline.errors import ConfigError, ModelError
from tests.data import shared_data
from tests.models.published import VIDEOMAE, State, few_layers, mae_st, videomae


def test_names_of_the_registry_give_their_sizes_for_other_pictures_and_classes() -> None:
    tiny = large_architecture("vit_tiny_patch16_224", 64, 10)
    assert tiny == Architecture("vit", 64, 1, 16, depth=12, heads=3, mlp=768, num_classes=10)
    deit = large_architecture("deit_base_distilled_patch16_224", 224, 1000)
    assert (deit.kind, deit.heads, deit.mlp, deit.prefix) == ("deit", 12, 3072, 2)
    assert large_architecture("cct_14_7x2", 224, 10) == replace(CCT_14, num_classes=10)
    assert large_architecture("vit:6x4x512/8", 32, 7) == Architecture(
        "vit", 32, 1, 8, depth=6, heads=4, mlp=512, num_classes=7
    )


def test_every_model_of_16_frames_with_64_channels_a_head_can_be_the_large_one() -> None:
    found = {}
    for name in list_models():
        spec = get_architecture(name)
        if spec.clip_frames == 16 and spec.dim == 64 * spec.num_heads:
            large = large_architecture(name, 224, 400)
            found[name] = large.kind
            assert (large.frames, large.patch, large.mlp) == (16, 16, 4 * spec.dim)
            assert replace(large.spec, positions=spec.positions, norm=spec.norm, name=name) == spec
    assert set(found.values()) == {"mae_st", "videomae"}
    assert len(found) == 6


def test_a_model_of_one_s_own_takes_clips_where_its_name_says_of_how_many_frames() -> None:
    clips = large_architecture("vit:6x4x512/8x16", 32, 7)
    assert clips == Architecture("vit", 32, 16, 8, depth=6, heads=4, mlp=512, num_classes=7)
    assert large_architecture("videomae:6x4x512/8x16", 32, 7) == replace(clips, kind="videomae")


def test_what_cannot_be_decomposed_is_refused() -> None:
    for name, channels in (("motions", 32), ("mae_st_vit_huge_patch16_16x224", 80)):
        with pytest.raises(
            ModelError, match=f"{name}: cannot be decomposed, with {channels} channels a head"
        ):
            large_architecture(name, 64, 8)
    with pytest.raises(ConfigError, match="cct: clips are for vit, mae_st and videomae"):
        large_architecture("cct:2x2x64/4x16", 16, 10)
    with pytest.raises(ModelError, match="swin"):
        large_architecture("swin", 224, 10)


def test_real_weights_are_where_the_large_model_starts() -> None:
    architecture = large_architecture("vit_tiny_patch16_224", 64, 10)
    weights = shared_data("weights", "vit_tiny_patch16_224_in1k.safetensors")
    model = load_large("vit_tiny_patch16_224", architecture, str(weights), seed=0)
    fresh = load_large("vit_tiny_patch16_224", architecture, None, seed=0)
    own, other = model.state_dict(), fresh.state_dict()
    assert not torch.equal(own["blocks.3.attn.qkv.weight"], other["blocks.3.attn.qkv.weight"])
    assert torch.equal(own["head.weight"], other["head.weight"])
    assert own["pos_embed"].shape == (1, 17, 192)
    again = load_large("vit_tiny_patch16_224", architecture, None, seed=0).state_dict()
    assert all(torch.equal(other[name], again[name]) for name in other)


@pytest.mark.parametrize(
    ("name", "published"), [("mae_st_vit_small_patch16_16x224", mae_st), (VIDEOMAE[0], videomae)]
)
def test_published_weights_of_clips_are_where_the_large_model_starts(
    name: str, published: Callable[[SplitArchitecture], State], tmp_path: Path
) -> None:
    """A file as its authors publish it, but for its depth."""
    spec = few_layers(name, num_layers=1, input_size=224)
    torch.save({"model": published(spec)}, tmp_path / "weights.pth")
    weights, frames = (
        str(tmp_path / "weights.pth"),
        np.random.default_rng(0).integers(0, 256, (1, 16, 224, 224, 3)),
    )
    architecture = replace(large_architecture(name, 224, 400), depth=1)
    model = load_large(name, architecture, weights, seed=0).eval().requires_grad_(False)
    split = SplitViT(spec).eval().requires_grad_(False)
    load_into(split, read_checkpoint(Path(weights)))
    shown = frames.astype(np.uint8)
    logits, wanted = model(preprocess(shown, architecture.spec)), split(split.preprocess(shown))
    assert wanted.std() > 0.01
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-4)
    smaller = load_large(name, replace(architecture, input_size=32), weights, seed=0).state_dict()
    prefix = architecture.prefix
    assert smaller["pos_embed"].shape == (1, prefix + 8 * 2 * 2, spec.dim)
    means = [
        state["pos_embed"][0, prefix:].unflatten(0, (8, -1)).mean(1)
        for state in (smaller, model.state_dict())
    ]
    torch.testing.assert_close(means[0][:, -8:], means[1][:, -8:], rtol=0, atol=0.05)


def test_weights_that_are_not_there_or_do_not_fit_are_refused(tmp_path: Path) -> None:
    architecture = large_architecture("vit:2x2x64/8", 16, 10)
    with pytest.raises(ModelError, match="no such file of weights"):
        load_large("vit:2x2x64/8", architecture, str(tmp_path / "none.safetensors"), seed=0)
    weights = shared_data("weights", "vit_tiny_patch16_224_in1k.safetensors")
    with pytest.raises(ModelError, match="weights: "):
        load_large("vit:2x2x64/8", architecture, str(weights), seed=0)


def test_a_part_lacks_sigma_percent_and_half_of_the_layers_unless_its_sizes_are_given() -> None:
    tiny = large_architecture("vit_tiny_patch16_224", 64, 10)
    half = small_architecture(tiny, 34, None, None, None)
    assert (half.depth, half.heads, half.mlp) == (6, 2, 507)
    assert small_architecture(tiny, 33, 5, None, None) == replace(tiny, depth=5, mlp=515)
    assert small_architecture(tiny, 50, 4, 1, 100) == replace(tiny, depth=4, heads=1, mlp=100)
