import pytest
import timm

from models.registry import MOTIONS, get_architecture, list_models
from pipeline.errors import ModelError

IMAGE_MODELS = [name for name in list_models() if get_architecture(name).clip_frames == 1]


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_image_models_read_pixels_as_timm_says(name: str) -> None:
    spec, timms = get_architecture(name), timm.get_pretrained_cfg(name)
    assert (spec.mean, spec.std, spec.crop_pct) == (timms.mean, timms.std, timms.crop_pct)
    assert (3, spec.input_size, spec.input_size) == timms.input_size
    assert timms.interpolation == "bicubic"


def test_video_models_see_sixteen_frames_as_1568_patches() -> None:
    for name in list_models():
        spec = get_architecture(name)
        if spec.clip_frames > 1 and spec.input_size == 224:
            assert (spec.grid, spec.num_tokens) == ((8, 14, 14), 1568 + spec.prefix)


@pytest.mark.parametrize(
    ("size", "width"),
    [("small", (384, 12, 6)), ("base", (768, 12, 12)), ("large", (1024, 24, 16)), ("huge", (1280, 32, 16))],
)
def test_mae_st_is_as_its_authors_trained_it(size: str, width: tuple[int, int, int]) -> None:
    spec = get_architecture(f"mae_st_vit_{size}_patch16_16x224")
    assert (spec.dim, spec.num_layers, spec.num_heads) == width
    assert (spec.mean, spec.std, spec.crop_pct) == ((0.45,) * 3, (0.225,) * 3, 224 / 256)
    assert (spec.positions, spec.prefix, spec.pool, spec.norm) == ("separable", 1, "mean", "norm")
    assert (spec.tubelet, spec.patch_size, spec.num_classes) == (2, 16, 400)


@pytest.mark.parametrize(
    ("size", "width"), [("small", (384, 12, 6)), ("base", (768, 12, 12)), ("large", (1024, 24, 16))]
)
def test_videomae_is_as_its_authors_trained_it(size: str, width: tuple[int, int, int]) -> None:
    spec = get_architecture(f"videomae_{size}_patch16_16x224")
    assert (spec.dim, spec.num_layers, spec.num_heads) == width
    assert (spec.mean, spec.std, spec.crop_pct) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1.0)
    assert (spec.positions, spec.prefix, spec.pool, spec.norm) == ("sine", 0, "mean", "fc_norm")
    assert (spec.tubelet, spec.patch_size, spec.num_classes) == (2, 16, 400)


def test_motions_names_its_classes() -> None:
    spec = get_architecture("motions")
    assert (spec.labels, spec.num_classes, spec.num_tokens) == (MOTIONS, 8, 129)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'vit_nano' is unknown.*vit_tiny_patch16_224.*motions"):
        get_architecture("vit_nano")


def test_other_classes_have_no_names() -> None:
    spec = get_architecture("motions")
    assert spec.with_classes(5).labels is None
    assert spec.with_classes(8) is spec
    assert spec.with_classes(None) is spec
    with pytest.raises(ModelError, match="1 or more"):
        spec.with_classes(0)
