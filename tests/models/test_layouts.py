import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models import build_model
from models.checkpoints import Checkpoint, load_into, models_that_fit
from models.embedding import sine_positions
from models.layouts import to_our_names
from models.registry import Architecture, get_architecture
from models.vit import SplitViT
from pipeline.errors import ModelError
from sources.base import FrameGeometry
from sources.labelled import Protocol, open_examples, views
from tests.data import shared_data
from tests.models.published import (
    MAE_ST,
    VIDEOMAE,
    State,
    absent,
    drawn,
    few_layers,
    hugging_face,
    mae_st,
    videomae,
)

SMALL_VIDEOMAE = few_layers(VIDEOMAE[0])


def loaded(spec: Architecture, state: State) -> SplitViT:
    model = SplitViT(spec)
    load_into(model, Checkpoint("file", to_our_names(state)))
    return model.requires_grad_(False).eval()


def clips(spec: Architecture) -> Tensor:
    return torch.randn(2, 3, spec.clip_frames, spec.input_size, spec.input_size)


def mae_st_logits(state: State, spec: Architecture, pixels: Tensor) -> Tensor:
    """MAE-ST's classifier restated: q, k and v apart, and the norm behind the mean over the patches."""
    kernel = state["patch_embed.proj.weight"]
    maps = F.conv3d(pixels, kernel, state["patch_embed.proj.bias"], stride=kernel.shape[2:])
    positions = state["pos_embed_temporal"][:, :, None] + state["pos_embed_spatial"][:, None]
    patches = maps.flatten(2).mT + positions.flatten(1, 2)
    first = (state["cls_token"] + state["pos_embed_class"]).expand(len(pixels), -1, -1)
    x = torch.cat([first, patches], 1)

    def linear(name: str, value: Tensor) -> Tensor:
        return F.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, value: Tensor) -> Tensor:
        return F.layer_norm(value, value.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    for layer in range(spec.num_layers):
        block = f"blocks.{layer}"
        normed = norm(f"{block}.norm1", x)
        q, k, v = (
            linear(f"{block}.attn.{part}", normed).unflatten(2, (spec.num_heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        x = x + linear(f"{block}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        x = x + linear(f"{block}.mlp.fc2", F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))))
    return linear("head", norm("norm", x[:, 1:].mean(1)))


@pytest.mark.parametrize("name", [*MAE_ST, "mae_st_vit_small_patch16_16x224"])
def test_every_published_mae_st_fits_its_model_alone(name: str) -> None:
    state = to_our_names(mae_st(get_architecture(name), absent))
    assert models_that_fit(Checkpoint("file", state)) == [name]


@pytest.mark.parametrize("name", VIDEOMAE)
def test_every_published_videomae_fits_its_model_alone_in_both_layouts(name: str) -> None:
    state = videomae(get_architecture(name), absent)
    for layout in (state, hugging_face(state)):
        assert models_that_fit(Checkpoint("file", to_our_names(layout))) == [name]


@pytest.mark.parametrize("name", MAE_ST)
def test_logits_of_mae_st_are_those_of_its_plain_forward(name: str) -> None:
    torch.manual_seed(0)
    spec = few_layers(name)
    state, pixels = mae_st(spec), clips(spec)
    wanted = mae_st_logits(state, spec, pixels)
    assert wanted.std() > 0.01
    torch.testing.assert_close(loaded(spec, state)(pixels), wanted, rtol=0, atol=1e-4 * float(wanted.std()))


def test_q_k_and_v_come_back_out_of_the_joined_matrix_bit_for_bit() -> None:
    state = mae_st(few_layers(MAE_ST[0]))
    ours = to_our_names(state)
    for layer in range(2):
        for kind in ("weight", "bias"):
            parts = ours[f"blocks.{layer}.attn.qkv.{kind}"].chunk(3)
            for part, piece in zip("qkv", parts, strict=True):
                assert torch.equal(piece, state[f"blocks.{layer}.attn.{part}.{kind}"])


@pytest.mark.parametrize("biases", [("q_bias", "v_bias"), ("query.bias", "value.bias")])
@pytest.mark.parametrize("name", VIDEOMAE)
def test_logits_of_videomae_are_those_of_transformers(name: str, biases: tuple[str, str]) -> None:
    require_parity(few_layers(name, input_size=96), biases)


def test_logits_of_a_whole_videomae_are_those_of_transformers() -> None:
    require_parity(get_architecture(VIDEOMAE[0]), ("q_bias", "v_bias"), num_clips=1)


def require_parity(spec: Architecture, biases: tuple[str, str], num_clips: int = 2) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.VideoMAEConfig(
        image_size=spec.input_size,
        hidden_size=spec.dim,
        num_hidden_layers=spec.num_layers,
        num_attention_heads=spec.num_heads,
        intermediate_size=4 * spec.dim,
        num_labels=spec.num_classes,
    )
    reference = transformers.VideoMAEForVideoClassification(config).eval().requires_grad_(False)
    for parameter in reference.parameters():
        parameter.add_(drawn(parameter.shape))
    state = {
        name.replace("query.bias", biases[0]).replace("value.bias", biases[1]): tensor
        for name, tensor in reference.state_dict().items()
    }
    pixels = clips(spec)[:num_clips]
    logits, wanted = loaded(spec, state)(pixels), reference(pixels.transpose(1, 2)).logits
    assert wanted.std() > 0.1
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-4)
    assert torch.equal(logits.topk(5).indices, wanted.topk(5).indices)


def test_both_layouts_of_videomae_give_the_same_logits_bit_for_bit() -> None:
    torch.manual_seed(0)
    state, pixels = videomae(SMALL_VIDEOMAE), clips(SMALL_VIDEOMAE)
    logits = loaded(SMALL_VIDEOMAE, state)(pixels)
    assert torch.equal(loaded(SMALL_VIDEOMAE, hugging_face(state))(pixels), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_table_of_sine_positions_may_be_in_the_file(dtype: torch.dtype) -> None:
    state = videomae(SMALL_VIDEOMAE)
    table = {"pos_embed": sine_positions(SMALL_VIDEOMAE.num_patches, SMALL_VIDEOMAE.dim).to(dtype)}
    digest = loaded(SMALL_VIDEOMAE, state).digest
    for given in (state | table, hugging_face(state | table)):
        assert loaded(SMALL_VIDEOMAE, given).digest == digest


def test_a_table_of_other_positions_or_of_another_size_does_not_fit() -> None:
    state = videomae(SMALL_VIDEOMAE)
    patches, dim = SMALL_VIDEOMAE.num_patches, SMALL_VIDEOMAE.dim
    sine = sine_positions(patches, dim)
    blocked = torch.cat([sine[..., 0::2], sine[..., 1::2]], -1)
    longer, shorter = sine_positions(2 * patches, dim), sine[:, : patches // 2]
    for table in (sine + 0.01, blocked, sine.repeat(2, 1, 1), longer, shorter, sine[:, :0], sine[0]):
        for given in (state, hugging_face(state)):
            with pytest.raises(ModelError, match="pos_embed"):
                loaded(SMALL_VIDEOMAE, given | {"pos_embed": table})


def test_a_whole_videomae_of_another_length_fits_no_model() -> None:
    spec = get_architecture(VIDEOMAE[0])
    state = videomae(spec, absent)
    fits = Checkpoint("file", state | {"pos_embed": sine_positions(spec.num_patches, spec.dim)})
    longer = Checkpoint("file", state | {"pos_embed": sine_positions(2 * spec.num_patches, spec.dim)})
    assert models_that_fit(Checkpoint("file", to_our_names(fits.state))) == [spec.name]
    assert models_that_fit(Checkpoint("file", to_our_names(longer.state))) == []


def test_real_videos_give_the_same_logits_from_both_layouts() -> None:
    spec = few_layers("videomae_base_patch16_16x224", input_size=224)
    torch.manual_seed(0)
    state = videomae(spec)
    models = [loaded(spec, given) for given in (state, hugging_face(state))]
    assert models[0].digest == models[1].digest
    folder = shared_data("videos", "actions")
    with open_examples(folder, limit=2) as examples:
        assert len(examples) == 2
        for example in examples:
            shown = views(example, FrameGeometry(224, spec.crop_pct), spec.clip_frames, Protocol())
            first, second = (model(model.preprocess(shown)) for model in models)
            assert torch.equal(first, second)


def test_only_videomae_has_no_bias_for_k() -> None:
    state = mae_st(few_layers(MAE_ST[0]))
    del state["blocks.1.attn.k.bias"]
    assert "blocks.1.attn.qkv.bias" not in to_our_names(state)
    bias = to_our_names(videomae(SMALL_VIDEOMAE))["blocks.1.attn.qkv.bias"]
    assert not bias.chunk(3)[1].any()


def test_pieces_that_do_not_join_are_left_for_the_check_that_names_them() -> None:
    state = mae_st(few_layers(MAE_ST[0])) | {"blocks.0.attn.k.weight": torch.zeros(3, 768)}
    ours = to_our_names(state)
    assert {f"blocks.0.attn.{part}.weight" for part in "qkv"} <= ours.keys()


def test_two_tensors_of_one_name_are_left_alone() -> None:
    state = hugging_face(videomae(SMALL_VIDEOMAE))
    attention = "videomae.encoder.layer.0.attention.attention"
    twice = state | {f"{attention}.query.bias": state[f"{attention}.q_bias"] + 1}
    assert to_our_names(twice).keys() == twice.keys()


def test_our_own_names_stay_as_they_are() -> None:
    state = build_model("motions", seed=0).state_dict()
    ours = to_our_names(state)
    assert ours.keys() == state.keys()
    assert all(ours[name] is tensor for name, tensor in state.items())
