from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models import build_model, create_model
from models.checkpoints import Checkpoint, adapt, load_into, models_that_fit
from models.registry import get_architecture
from models.vit import SplitViT
from pipeline.errors import ModelError
from tests.models.published import MAE_ST, VIDEOMAE, State

NAME = "motions"


@pytest.fixture(scope="module")
def state() -> State:
    return {name: tensor.clone() for name, tensor in build_model(NAME, seed=3).state_dict().items()}


def shapes_of(name: str) -> State:
    with torch.device("meta"):
        return dict(SplitViT(get_architecture(name)).state_dict())


def refusal(name: str, state: State) -> str:
    with torch.device("meta"):
        model = SplitViT(get_architecture(name))
    with pytest.raises(ModelError) as caught:
        load_into(model, Checkpoint("file", state))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_head_in_the_file_decides_the_number_of_classes(tmp_path: Path, state: State) -> None:
    other = state | {"head.weight": torch.zeros(5, 128), "head.bias": torch.zeros(5)}
    save_file(other, tmp_path / "w.safetensors")
    model = create_model(NAME, tmp_path / "w.safetensors")
    assert (model.num_classes, model.labels) == (5, None)
    with pytest.raises(ModelError, match=r"2 misshapen: head.weight \[5, 128\] for \[8, 128\]"):
        create_model(NAME, tmp_path / "w.safetensors", num_classes=8)


def test_a_file_that_does_not_fit_says_what_is_wrong(tmp_path: Path, state: State) -> None:
    wrong = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.11.")}
    wrong |= {"fc_norm.weight": torch.zeros(128), "cls_token": torch.zeros(1, 1, 64)}
    save_file(wrong, tmp_path / "w.safetensors")
    with pytest.raises(ModelError) as caught:
        create_model(NAME, tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "\n" not in message
    assert "does not fit motions of 8 classes" in message
    assert "12 missing: blocks.11.attn.proj.bias" in message
    assert "1 unexpected: fc_norm.weight" in message
    assert "1 misshapen: cls_token [1, 1, 64] for [1, 1, 128]" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(state: State, value: float) -> None:
    broken = {name: tensor.clone() for name, tensor in state.items()}
    broken["blocks.7.mlp.fc1.weight"][3, 5] = value
    with pytest.raises(ModelError, match=r"file: blocks.7.mlp.fc1.weight holds values that are NaN"):
        load_into(build_model(NAME), Checkpoint("file", broken))


def test_doubles_too_large_for_float32_are_not_finite(state: State) -> None:
    large = state | {"norm.weight": torch.full((128,), 1e300, dtype=torch.float64)}
    with pytest.raises(ModelError, match=r"norm.weight holds values that are NaN or infinite"):
        load_into(build_model(NAME), Checkpoint("file", large))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_become_float32(state: State, dtype: torch.dtype) -> None:
    model = build_model(NAME)
    load_into(model, Checkpoint("file", {name: tensor.to(dtype) for name, tensor in state.items()}))
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, state["head.weight"].to(dtype).float())


def test_another_architecture_is_answered_with_the_model_that_fits() -> None:
    assert refusal(VIDEOMAE[0], shapes_of(VIDEOMAE[1])) == (
        "file: holds a VideoMAE of 12 layers of 768: choose --model videomae_base_patch16_16x224"
    )
    assert refusal("vit_tiny_patch16_224", shapes_of(MAE_ST[1])) == (
        "file: holds a MAE-ST ViT of 24 layers of 1024: choose --model mae_st_vit_large_patch16_16x224"
    )
    assert refusal("vit_base_patch16_224", shapes_of("vit_tiny_patch16_224")) == (
        "file: holds an image ViT of 12 layers of 192: "
        "choose --model vit_tiny_patch16_224 or deit_tiny_patch16_224"
    )
    assert refusal("deit_tiny_patch16_224", shapes_of("deit_tiny_distilled_patch16_224")) == (
        "file: holds a distilled DeiT of 12 layers of 192: choose --model deit_tiny_distilled_patch16_224"
    )


def test_the_model_that_fits_may_have_any_head() -> None:
    spec = get_architecture("deit_small_patch16_224")
    with torch.device("meta"):
        few, pooled = (SplitViT(of).state_dict() for of in (spec.with_classes(37), spec.pooled_by_mean()))
    for given in (few, pooled):
        names = models_that_fit(Checkpoint("file", given))
        assert names == ["vit_small_patch16_224", "deit_small_patch16_224"]


def test_weights_of_another_kind_of_network_say_so() -> None:
    resnet = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.bn1.bias": torch.zeros(64)}
    message = refusal(NAME, resnet | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)})
    assert "file: holds no Vision Transformer in a layout that is known here" in message
    assert "its 4 tensors are conv1.weight, fc.bias, fc.weight, ..." in message


def test_weights_that_were_only_pretrained_say_so(state: State) -> None:
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    assert "has no head.weight, so it was only pre-trained" in refusal(NAME, headless)


def test_a_head_of_another_width_does_not_size_the_model() -> None:
    spec = get_architecture(NAME)
    for shape in ((10**9, 1), (10**9,)):
        head = torch.zeros(1).expand(shape)
        assert adapt(spec, Checkpoint("file", {"head.weight": head}), None).num_classes == 8


def test_pixels_of_the_checkpoint_go_before_the_models_own() -> None:
    spec = get_architecture(NAME)
    assert adapt(spec, Checkpoint("file", {}), None) == spec
    changed = adapt(spec, Checkpoint("file", {}, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)), None)
    assert (changed.mean, changed.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
