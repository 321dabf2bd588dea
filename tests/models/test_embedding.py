import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks.plain import plain_layer
from models import SplitViT, build_model
from models.embedding import sine_positions
from models.initial import initialise
from models.merging import Tokens
from models.registry import get_architecture
from pipeline.items import Pruning


def plain_video_logits(model: SplitViT, pixels: torch.Tensor, removed: tuple[int, ...]) -> torch.Tensor:
    """The forward as the papers write it: a strided convolution, positions, layers, mean, norm."""
    state = dict(model.named_parameters())
    projected = F.conv3d(
        pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=(2, 16, 16)
    )
    x = projected.flatten(2).transpose(1, 2)
    if model.num_prefix_tokens:
        space, time = state["pos_embed_spatial"][0], state["pos_embed_temporal"][0]
        x = x + (time[:, None] + space[None]).reshape(1, -1, model.dim)
        first = state["cls_token"] + state["pos_embed_class"]
        x = torch.cat([first.expand(len(x), -1, -1), x], dim=1)
    else:
        x = x + sine_positions(x.shape[1], model.dim)
    tokens = Tokens(x, torch.ones(x.shape[:2]))
    for layer, number in zip(model.layers, removed, strict=True):
        tokens = plain_layer(layer, tokens, number)
    patches, size = tokens.x[:, model.num_prefix_tokens :], tokens.size[:, model.num_prefix_tokens :]
    mean = (patches * size[..., None]).sum(1) / size.sum(1, keepdim=True)
    norm = "norm" if model.num_prefix_tokens else "fc_norm"
    normed = F.layer_norm(mean, (model.dim,), state[f"{norm}.weight"], state[f"{norm}.bias"], 1e-6)
    return F.linear(normed, state["head.weight"], state["head.bias"])


@pytest.mark.parametrize("removed", [0, 5])
@pytest.mark.parametrize(
    "name", ["motions", "mae_st_vit_small_patch16_16x224", "videomae_small_patch16_16x224"]
)
def test_video_models_are_the_plain_forward(name: str, removed: int) -> None:
    model = SplitViT(get_architecture(name).with_layers(2)).requires_grad_(False)
    initialise(model, 0)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.05)
    pixels = torch.randn(1, 3, 16, model.input_size, model.input_size)
    tokens = model.run_layers(model.embed(pixels), 0, 2, Pruning("uniform", removed, (removed, removed)))
    plain = plain_video_logits(model, pixels, (removed, removed))
    assert plain.std() > 0.1
    torch.testing.assert_close(model.classify(tokens), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("position", "channel"), [(0, 0), (0, 1), (3, 6), (3, 7), (1567, 383)])
def test_fixed_positions_are_the_published_formula(position: int, channel: int) -> None:
    angle = position / 10000 ** (2 * (channel // 2) / 384)
    wanted = math.cos(angle) if channel % 2 else math.sin(angle)
    assert sine_positions(1568, 384)[0, position, channel] == pytest.approx(wanted, abs=1e-6)


def test_parameters_of_video_models_carry_the_promised_names() -> None:
    names = {name: list(tensor.shape) for name, tensor in build_model("motions").state_dict().items()}
    assert names["patch_embed.proj.weight"] == [128, 3, 2, 16, 16]
    assert names["pos_embed_spatial"] == [1, 16, 128]
    assert names["pos_embed_temporal"] == [1, 8, 128]
    assert names["pos_embed_class"] == names["cls_token"] == [1, 1, 128]
    assert {"blocks.11.mlp.fc2.weight", "norm.weight", "head.weight"} <= names.keys()
    video = SplitViT(get_architecture("videomae_small_patch16_16x224").with_layers(1)).state_dict()
    assert {"patch_embed.proj.weight", "fc_norm.weight", "head.bias"} <= video.keys()
    assert not {name for name in video if "pos" in name or "cls" in name or "sine" in name}
