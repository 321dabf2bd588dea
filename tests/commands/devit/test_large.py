from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commands.devit.large import large_architecture, load_large, small_architecture
from devit.architecture import CCT_14, Architecture
from pipeline.errors import ModelError
from tests.data import shared_data


def test_names_of_the_registry_give_their_sizes_for_other_pictures_and_classes() -> None:
    tiny = large_architecture("vit_tiny_patch16_224", 64, 10)
    assert tiny == Architecture("vit", 64, 1, 16, depth=12, heads=3, mlp=768, num_classes=10)
    deit = large_architecture("deit_base_distilled_patch16_224", 224, 1000)
    assert (deit.kind, deit.heads, deit.mlp, deit.prefix) == ("deit", 12, 3072, 2)
    assert large_architecture("cct_14_7x2", 224, 10) == replace(CCT_14, num_classes=10)
    assert large_architecture("vit:6x4x512/8", 32, 7) == Architecture(
        "vit", 32, 1, 8, depth=6, heads=4, mlp=512, num_classes=7
    )


def test_what_cannot_be_decomposed_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be decomposed; take a vit_, deit_ or cct_ model"):
        large_architecture("mae_st_vit_base_patch16_16x224", 224, 10)
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
