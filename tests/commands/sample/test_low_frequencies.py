"""The start of training: filters that see smooth shapes and change."""

import torch

from commands.sample.low_frequencies import start_low
from models import build_model


def started():
    model = build_model("motions", seed=0)
    start_low(model)
    return model


def responses(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """What the patch embedding's filters make of a tubelet whose frames are two pictures [3, 16, 16]."""
    weight = started().patch_embed.proj.weight.detach()
    return torch.einsum("dctyx,ctyx->d", weight, torch.stack([first, second], dim=1))


def test_what_stands_still_is_seen_by_the_even_channels_only():
    picture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = responses(picture, picture)
    assert seen[1::2].abs().max() < 1e-4
    assert seen[0::2].abs().min() > 0


def test_the_odd_channels_see_change_and_its_sign():
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    forwards, backwards = responses(*pictures)[1::2], responses(*pictures.flip(0))[1::2]
    assert forwards.abs().max() > 0.1
    torch.testing.assert_close(forwards, -backwards)


def test_filters_are_all_different():
    weight = started().patch_embed.proj.weight.detach().flatten(1)
    likeness = torch.nn.functional.normalize(weight, dim=1) @ torch.nn.functional.normalize(weight, dim=1).T
    assert (likeness - torch.eye(len(weight))).abs().max() < 0.99


def test_positions_grow_and_layers_stay_as_they_were():
    plain, low = build_model("motions", seed=0), started()
    torch.testing.assert_close(low.blocks[0].attn.qkv.weight, plain.blocks[0].attn.qkv.weight)
    assert low.pos_embed_spatial.norm() > 10 * plain.pos_embed_spatial.norm()
