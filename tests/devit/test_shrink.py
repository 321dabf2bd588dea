from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from devit.architecture import Architecture
from devit.backbones import build, run
from devit.importance import Importance
from devit.shrink import most_important, shrink, shrunk
from pipeline.errors import ConfigError, ModelError
from tests.devit.small import CCT, CLIPS, DEIT, EVERY_KIND, VIT, pixels_for


def random_importance(a: Architecture, seed: int = 0) -> Importance:
    generator = torch.Generator().manual_seed(seed)
    shapes = (a.depth, a.heads), (a.depth, a.mlp), (a.dim,)
    return Importance(*(torch.rand(shape, generator=generator) for shape in shapes))


def weights(model: nn.Module, layer: int, name: str) -> Tensor:
    return model.state_dict()[f"blocks.{layer}.{name}"]


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_shrinking_to_the_same_architecture_changes_no_bit(architecture: Architecture) -> None:
    teacher = build(architecture, seed=0).eval()
    student = shrink(teacher, random_importance(architecture), architecture).eval()
    pixels = pixels_for(architecture)
    assert torch.equal(student(pixels), teacher(pixels))
    assert student.state_dict().keys() == teacher.state_dict().keys()


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_neurons_that_do_nothing_may_go(architecture: Architecture) -> None:
    teacher, scores = build(architecture, seed=0).eval(), random_importance(architecture)
    for layer, block in enumerate(teacher.blocks):  # type: ignore[arg-type]
        scores.neurons[layer, layer % 2 :: 2] = 0
        with torch.no_grad():
            block.mlp.fc2.weight[:, layer % 2 :: 2] = 0
    small = replace(architecture, mlp=architecture.mlp // 2)
    pixels = pixels_for(architecture)
    torch.testing.assert_close(shrink(teacher, scores, small).eval()(pixels), teacher(pixels))


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_heads_that_do_nothing_and_channels_that_say_it_twice_may_go(architecture: Architecture) -> None:
    """The second 64 channels repeat the first, so that norms see the same mean and deviation without them."""
    small = replace(architecture, heads=1)
    teacher, scores = build(architecture, seed=0).eval(), random_importance(architecture)
    scores.channels[64:] = 0
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name.endswith(("pos_embed", "_token")):
                parameter[..., 64:] = parameter[..., :64]
            elif name.endswith(("qkv.weight", "fc1.weight", "pool.weight", "head.weight", "dist.weight")):
                parameter[:, 64:] = 0
            elif name.endswith(
                ("patch_embed.proj.weight", "patch_embed.proj.bias", "fc2.weight", "fc2.bias")
            ):
                parameter[64:] = parameter[:64]
        for layer, block in enumerate(teacher.blocks):  # type: ignore[arg-type]
            idle = layer % 2
            scores.heads[layer, idle] = 0
            block.attn.proj.weight[:, 64 * idle : 64 * idle + 64] = 0
            block.attn.proj.weight[64:] = block.attn.proj.weight[:64]
            block.attn.proj.bias[64:] = block.attn.proj.bias[:64]
    pixels = pixels_for(architecture)
    student = shrink(teacher, scores, small).eval()
    torch.testing.assert_close(student(pixels), teacher(pixels), rtol=1e-4, atol=1e-5)
    assert run(student, pixels).token.shape == (3, 64)


def test_every_kept_weight_is_the_teacher_s_at_its_place() -> None:
    large = replace(VIT, heads=3, depth=5)
    small, teacher, scores = replace(VIT, depth=2), build(large, seed=0), random_importance(large)
    student = shrink(teacher, scores, small)
    channels = sorted(scores.channels.topk(128).indices.tolist())
    for place, layer in enumerate((0, 1)):
        heads = sorted(scores.heads[layer].topk(2).indices.tolist())
        neurons = sorted(scores.neurons[layer].topk(96).indices.tolist())
        theirs = weights(teacher, layer, "attn.qkv.weight").view(3, 3, 64, 192)
        ours = weights(student, place, "attn.qkv.weight").view(3, 2, 64, 128)
        bias = weights(student, place, "attn.qkv.bias").view(3, 2, 64)
        for new, old in enumerate(heads):
            assert torch.equal(ours[:, new], theirs[:, old][..., channels])
            assert torch.equal(bias[:, new], weights(teacher, layer, "attn.qkv.bias").view(3, 3, 64)[:, old])
        first, second = (weights(teacher, layer, f"mlp.fc{one}.weight") for one in (1, 2))
        assert torch.equal(weights(student, place, "mlp.fc1.weight"), first[neurons][:, channels])
        assert torch.equal(weights(student, place, "mlp.fc2.weight"), second[channels][:, neurons])
    assert torch.equal(student.state_dict()["pos_embed"], teacher.state_dict()["pos_embed"][..., channels])


@pytest.mark.parametrize("architecture", [VIT, DEIT, CCT], ids=lambda a: a.kind)
def test_the_class_head_keeps_the_classes_asked_for(architecture: Architecture) -> None:
    teacher = build(architecture, seed=0).eval()
    student = shrink(teacher, random_importance(architecture), architecture.with_classes(3), (4, 0, 2))
    pixels = pixels_for(architecture)
    torch.testing.assert_close(student.eval()(pixels), teacher(pixels)[:, [4, 0, 2]])


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(st.integers(1, n), st.lists(st.integers(0, 4), min_size=n))
    )
)
def test_what_is_kept_matters_at_least_as_much_as_what_goes(case: tuple[int, list[int]]) -> None:
    count, scores = case
    kept = most_important(torch.tensor(scores), count, "heads").tolist()
    gone = [score for index, score in enumerate(scores) if index not in kept]
    assert kept == sorted(set(kept))
    assert len(kept) == count
    assert not gone or max(gone) <= min(scores[index] for index in kept)


@pytest.mark.parametrize(
    ("sigma", "heads", "mlp"), [(0, 16, 4096), (75, 4, 1024), (81.25, 3, 768), (99, 1, 41)]
)
def test_sigma_is_the_percentage_that_goes(sigma: float, heads: int, mlp: int) -> None:
    large = Architecture("vit", 224, 1, 16, depth=24, heads=16, mlp=4096, num_classes=10)
    assert shrunk(large, sigma, 12) == replace(large, depth=12, heads=heads, mlp=mlp)


@pytest.mark.parametrize("sigma", [-1, 100, float("nan")])
def test_a_percentage_that_leaves_nothing_is_refused(sigma: float) -> None:
    with pytest.raises(ConfigError, match="sigma must be 0 or more and below 100 percent"):
        shrunk(VIT, sigma, 1)


@pytest.mark.parametrize(
    ("small", "said"),
    [
        (replace(VIT, heads=3), "cannot keep 192 channels of 128"),
        (replace(VIT, mlp=97), "cannot keep 97 neurons of 96"),
        (replace(VIT, depth=4), "3 layers cannot be shrunk to 4"),
    ],
)
def test_more_than_the_teacher_has_is_refused(small: Architecture, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        shrink(build(VIT), random_importance(VIT), small)


@pytest.mark.parametrize(
    ("small", "classes", "said"),
    [
        (DEIT, None, "teacher: dist_token is missing"),
        (replace(VIT, input_size=64), None, r"pos_embed is \[1, 5, 128\], not \[1, 17, 128\]"),
        (replace(CLIPS, mlp=96), None, "patch_embed.proj.weight is"),
        (VIT, (0, 1), r"head.bias is \[2\], not \[5\]"),
        (VIT, (0, 1, 2, 3, 5), r"classes \[0, 1, 2, 3, 5\] are not all among the teacher's 5"),
    ],
)
def test_a_teacher_of_another_shape_is_refused(
    small: Architecture, classes: tuple[int, ...] | None, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        shrink(build(VIT), random_importance(VIT), small, classes)


def test_the_importance_of_another_model_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"importance of \(\(3, 2\), \(3, 96\), .* for a teacher of \(\(2, 2\)"
    ):
        shrink(build(replace(VIT, depth=2)), random_importance(VIT), VIT)


def test_heads_of_another_width_are_refused() -> None:
    teacher = VisionTransformer(img_size=32, embed_dim=128, depth=3, num_heads=4, num_classes=5)
    with pytest.raises(ModelError, match="heads of 32 channels"):
        shrink(teacher, random_importance(VIT), VIT)
