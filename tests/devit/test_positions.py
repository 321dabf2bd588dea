from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from devit.architecture import Architecture
from devit.backbones import build, load_weights, run
from devit.positions import written_out
from models import build_model
from models.layouts import to_our_names
from models.registry import Architecture as SplitArchitecture
from models.registry import get_architecture
from models.vit import SplitViT
from pipeline.errors import ModelError
from tests.models.published import State, hugging_face, mae_st, videomae

LAYOUTS: dict[str, tuple[str, Callable[[SplitArchitecture], State]]] = {
    "mae_st": ("mae_st_vit_small_patch16_16x224", mae_st),
    "videomae": ("videomae_small_patch16_16x224", videomae),
    "hugging_face": ("videomae_small_patch16_16x224", lambda spec: hugging_face(videomae(spec))),
}


def small(name: str) -> SplitArchitecture:
    return replace(
        get_architecture(name),
        dim=128,
        num_heads=2,
        num_layers=2,
        input_size=32,
        clip_frames=4,
        num_classes=5,
    )


def trained_here(spec: SplitArchitecture) -> Architecture:
    kind = "mae_st" if spec.prefix else "videomae"
    return Architecture(kind, 32, 4, 16, depth=2, heads=2, mlp=512, num_classes=5)


@pytest.mark.parametrize(("name", "published"), LAYOUTS.values(), ids=LAYOUTS)
def test_published_weights_give_the_logits_of_the_model_that_can_be_split(
    name: str, published: Callable[[SplitArchitecture], State]
) -> None:
    torch.manual_seed(0)
    spec = small(name)
    state, pixels = to_our_names(published(spec)), torch.randn(2, 3, 4, 32, 32)
    split = SplitViT(spec).requires_grad_(False).eval()
    split.load_state_dict(state)
    model = build(trained_here(spec), seed=0).eval()
    load_weights(model, trained_here(spec), written_out(state, spec))
    wanted, output = split(pixels), run(model, pixels)
    assert wanted.std() > 0.01
    torch.testing.assert_close(output.logits, wanted, rtol=0, atol=1e-4 * float(wanted.std()))
    pooled = split.run_layers(split.embed(pixels), 0, 2).x[:, spec.prefix :].mean(1)
    torch.testing.assert_close(output.token, split.fc_norm(split.norm(pooled)), rtol=1e-4, atol=1e-4)


def test_separable_positions_are_added_up_for_each_place_in_each_frame() -> None:
    spec = small("mae_st_vit_small_patch16_16x224")
    state = mae_st(spec)
    positions = written_out(state, spec)["pos_embed"]
    assert torch.equal(positions[:, :1], state["pos_embed_class"])
    for index in range(8):
        wanted = state["pos_embed_temporal"][:, index // 4] + state["pos_embed_spatial"][:, index % 4]
        assert torch.equal(positions[:, 1 + index], wanted)


@pytest.mark.parametrize("name", ["mae_st_vit_small_patch16_16x224", "videomae_small_patch16_16x224"])
def test_what_was_trained_here_stays_as_it_is(name: str) -> None:
    spec = small(name)
    state = build(trained_here(spec), seed=0).state_dict()
    again = written_out(state, spec)
    assert again.keys() == state.keys()
    assert all(again[key] is state[key] for key in state)


def test_weights_of_images_stay_as_they_are() -> None:
    state = build_model("vit_tiny_patch16_224", seed=0).state_dict()
    assert written_out(state, get_architecture("vit_tiny_patch16_224")) == state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pos_embed_spatial": torch.zeros(4)}, r"weights: pos_embed_spatial is \[4\], not \[1, 4, 128\]"),
        ({"pos_embed_temporal": torch.zeros(1, 8, 128)}, r"pos_embed_temporal is \[1, 8, 128\], not \[1, 2"),
        ({"pos_embed_class": None}, "weights: pos_embed_class is missing"),
    ],
)
def test_separable_positions_that_do_not_fit_are_refused(change: dict[str, Tensor | None], said: str) -> None:
    spec = small("mae_st_vit_small_patch16_16x224")
    state = {name: one for name, one in (mae_st(spec) | change).items() if one is not None}
    with pytest.raises(ModelError, match=said):
        written_out(state, spec)
