from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from devit.architecture import DEIT_B, DEVIT, VIT_L, Architecture
from devit.backbones import build, load_weights, run, to_split
from models import create_model
from pipeline.errors import ModelError
from tests.data import shared_data
from tests.devit.small import CCT, CLIPS, DEIT, EVERY_KIND, MAE_ST, VIDEOMAE, VIT, pixels_for

SPLITTABLE = [replace(VIT, mlp=512), replace(DEIT, mlp=512), CLIPS, MAE_ST, VIDEOMAE]


def formula_of_parameters(a: Architecture) -> int:
    """DeViT, eq. 1, and the last norm that it leaves out."""
    patches = (a.input_size // a.patch) ** 2
    layer = 4 * a.dim**2 + 4 * a.dim + 2 * a.dim * a.mlp + a.dim + a.mlp + 4 * a.dim
    return (a.patch**2 * 3 + patches + 3) * a.dim + a.depth * layer + (a.dim + 1) * a.num_classes + 2 * a.dim


@pytest.mark.parametrize("architecture", [VIT_L, DEVIT, VIT])
def test_a_vit_has_as_many_parameters_as_equation_1_says(architecture: Architecture) -> None:
    with torch.device("meta"):
        model = build(architecture)
    assert sum(p.numel() for p in model.parameters()) == formula_of_parameters(architecture)


def test_a_deit_has_a_second_token_and_a_second_head() -> None:
    with torch.device("meta"):
        model = build(DEIT_B)
    more = 2 * DEIT_B.dim + (DEIT_B.dim + 1) * DEIT_B.num_classes
    assert sum(p.numel() for p in model.parameters()) == formula_of_parameters(DEIT_B) + more


@given(st.integers(1, 3), st.integers(1, 700))
@example(7, 61)
@settings(deadline=None, max_examples=50)
def test_a_model_has_exactly_the_neurons_asked_for(heads: int, mlp: int) -> None:
    with torch.device("meta"):
        state = build(replace(VIT, depth=1, heads=heads, mlp=mlp)).state_dict()
    assert state["blocks.0.mlp.fc1.weight"].shape == (mlp, 64 * heads)


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_the_token_is_what_the_head_reads(architecture: Architecture) -> None:
    model, pixels = build(architecture, seed=0).eval(), pixels_for(architecture)
    output = run(model, pixels)
    assert output.token.shape == (3, architecture.dim)
    assert torch.equal(output.logits, model(pixels))
    if architecture.kind != "deit":
        assert torch.equal(output.logits, model.head(output.token))  # type: ignore[operator]


def test_the_token_of_a_deit_is_the_mean_of_its_two() -> None:
    model = build(DEIT, seed=0).eval()
    tokens = model.forward_features(pixels_for(DEIT))  # type: ignore[operator]
    output = run(model, pixels_for(DEIT))
    torch.testing.assert_close(output.token, tokens[:, :2].mean(1))
    logits = model.head(tokens[:, 0]) + model.head_dist(tokens[:, 1])  # type: ignore[operator]
    torch.testing.assert_close(output.logits, logits / 2)


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_the_seed_alone_decides_and_leaves_the_generator_alone(architecture: Architecture) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (build(architecture, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["patch_embed.proj.weight"], other["patch_embed.proj.weight"])


@pytest.mark.parametrize("architecture", SPLITTABLE, ids=lambda a: f"{a.kind}-{a.frames}")
def test_a_part_runs_in_the_model_that_can_be_split(architecture: Architecture) -> None:
    model, pixels = build(architecture, seed=0).eval(), pixels_for(architecture)
    torch.testing.assert_close(to_split(model, architecture)(pixels), model(pixels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [CCT, VIT])
def test_what_cannot_be_split_is_said(architecture: Architecture) -> None:
    with pytest.raises(ModelError, match="only what is no cct, and of 512, can be split"):
        to_split(build(architecture), architecture)


def test_real_weights_give_what_the_project_s_own_model_gives() -> None:
    path = shared_data("weights", "vit_tiny_patch16_224_in1k.safetensors")
    model = build(DEVIT, seed=0).eval()
    load_weights(model, DEVIT, load_file(path))
    split, pixels = create_model("vit_tiny_patch16_224", path), pixels_for(DEVIT, batch=1)
    torch.testing.assert_close(model(pixels), split(pixels), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", [VIT, DEIT, CCT], ids=lambda a: a.kind)
def test_positions_follow_the_input_size(architecture: Architecture) -> None:
    large = replace(architecture, input_size=64)
    state = build(large, seed=0).state_dict()
    with torch.no_grad():
        state["pos_embed"][:, architecture.prefix :] = 3.0
    model = build(architecture, seed=1)
    load_weights(model, architecture, state)
    positions = model.state_dict()["pos_embed"]
    torch.testing.assert_close(positions[:, architecture.prefix :], torch.full_like(positions, 3.0)[:, :4])
    assert torch.equal(positions[:, : architecture.prefix], state["pos_embed"][:, : architecture.prefix])


@pytest.mark.parametrize("architecture", [CLIPS, MAE_ST, VIDEOMAE], ids=lambda a: a.kind)
def test_positions_of_a_clip_follow_the_input_size_frame_by_frame(architecture: Architecture) -> None:
    state = build(replace(architecture, input_size=64), seed=0).state_dict()
    prefix = architecture.prefix
    with torch.no_grad():
        state["pos_embed"][:, prefix : prefix + 16], state["pos_embed"][:, prefix + 16 :] = 3.0, 7.0
    model = build(architecture, seed=1)
    load_weights(model, architecture, state)
    positions = model.state_dict()["pos_embed"]
    assert torch.equal(positions[:, :prefix], state["pos_embed"][:, :prefix])
    torch.testing.assert_close(positions[0, prefix:, 0], torch.tensor([3.0] * 4 + [7.0] * 4))


@pytest.mark.parametrize("architecture", [VIT, CLIPS], ids=lambda a: a.frames)
@pytest.mark.parametrize("shape", [(1, 8, 128), (2, 33, 128), (1, 0, 128), (128,)])
def test_positions_of_no_square_are_refused(architecture: Architecture, shape: tuple[int, ...]) -> None:
    state = build(architecture, seed=0).state_dict() | {"pos_embed": torch.zeros(shape)}
    with pytest.raises(ModelError, match="weights: pos_embed is "):
        load_weights(build(architecture), architecture, state)


def test_larger_patches_see_the_same_in_a_flat_picture() -> None:
    model, given = build(replace(VIT, patch=8), seed=1), build(replace(VIT, patch=4), seed=0)
    load_weights(model, replace(VIT, patch=8), given.state_dict())
    flat = torch.ones(1, 3, 32, 32)
    ours, theirs = (m.patch_embed(flat)[0, 0] for m in (model, given))  # type: ignore[operator]
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_a_head_for_other_classes_is_left_out(architecture: Architecture) -> None:
    given = build(architecture.with_classes(9), seed=0).state_dict()
    model = build(architecture, seed=1)
    own = model.state_dict()["head.weight"].clone()
    load_weights(model, architecture, given)
    assert torch.equal(model.state_dict()["head.weight"], own)
    assert torch.equal(model.state_dict()["blocks.0.attn.qkv.weight"], given["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (replace(VIT, depth=2), "blocks.2.attn.proj.bias is missing"),
        (replace(VIT, depth=4), "blocks.3.attn.proj.bias is unexpected"),
        (replace(VIT, mlp=97), r"blocks.0.mlp.fc1.bias is \[97\], not \[96\]"),
    ],
)
def test_weights_of_another_architecture_are_refused(given: Architecture, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_weights(build(VIT), VIT, build(given).state_dict())
