from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devit.architecture import CCT_14, DECCT, DEDEIT, DEIT_B, DEVIT, VIT_L, Architecture
from models.registry import HALF, IMAGENET_MEAN, IMAGENET_STD, get_architecture, list_models
from models.registry import Architecture as SplitArchitecture
from pipeline.errors import ConfigError
from tests.devit.small import CCT, CLIPS, MAE_ST, VIDEOMAE, VIT


def test_the_six_are_those_of_table_ii() -> None:
    table = [(a.depth, a.dim, a.mlp, a.heads) for a in (VIT_L, DEVIT, DEIT_B, DEDEIT, CCT_14, DECCT)]
    assert table == [
        (24, 1024, 4096, 16),
        (12, 192, 768, 3),
        (12, 768, 3072, 12),
        (12, 192, 768, 3),
        (14, 384, 1152, 6),
        (7, 256, 512, 4),
    ]


@given(st.integers(1, 3), st.integers(1, 3))
def test_the_stages_of_a_cct_come_to_its_patch(stages: int, stride: int) -> None:
    patch = (2 * stride) ** stages
    architecture = replace(CCT, patch=patch, input_size=patch * 3, stages=stages)
    assert architecture.stride == stride
    assert architecture.grid == (1, 3, 3)


def test_a_clip_has_tokens_of_two_frames() -> None:
    assert CLIPS.grid == (2, 2, 2)
    assert CLIPS.spec.num_tokens == 9


@pytest.mark.parametrize(
    "name", [name for name in list_models() if name.endswith("16x224")], ids=lambda name: name.split("_")[0]
)
def test_models_of_clips_are_shown_and_read_as_the_published_ones_are(name: str) -> None:
    published = get_architecture(name)
    ours = (MAE_ST if name.startswith("mae_st") else VIDEOMAE).spec
    for what in ("prefix", "pool", "mean", "std", "crop_pct", "tubelet"):
        assert getattr(ours, what) == getattr(published, what)
    assert (ours.positions, ours.norm) == ("learned", "fc_norm")


def test_images_are_shown_and_read_as_they_always_were() -> None:
    assert VIT.spec == SplitArchitecture(
        "devit_vit", 128, 3, 2, num_classes=5, input_size=32, mean=HALF, std=HALF, crop_pct=0.9
    )
    for architecture, prefix in ((replace(VIT, kind="deit"), 2), (CCT, 0)):
        spec = architecture.spec
        assert (spec.prefix, spec.pool, spec.norm, spec.crop_pct) == (prefix, "token", "norm", 0.9)
        assert (spec.mean, spec.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize(
    ("base", "wrong", "said"),
    [
        (VIT, {"kind": "swin"}, "'swin' is unknown; choose vit, deit, cct"),
        (VIT, {"heads": 0}, "heads must be 1 to 65536, not 0"),
        (VIT, {"mlp": 1 << 40}, "mlp must be 1 to 65536"),
        (VIT, {"depth": "3"}, "depth must be 1 to 65536, not '3'"),
        (VIT, {"input_size": 40}, "40 is no multiple of the patch 16"),
        (CLIPS, {"frames": 3}, "not 3 frames"),
        (VIT, {"depth": True}, "depth must be 1 to 65536, not True"),
        (CLIPS, {"kind": "deit"}, "clips are for vit, mae_st and videomae"),
        (MAE_ST, {"frames": 1}, "mae_st: takes clips of an even number of frames, not images"),
        (VIDEOMAE, {"frames": 5}, "not 5 frames"),
        (CCT, {"stages": 3}, "3 stages cannot make a patch of 16"),
        (CCT, {"patch": 1}, "2 stages cannot make a patch of 1"),
        (CCT, {"kernel": 4}, "kernel must be odd and 2 or more, not 4"),
    ],
)
def test_what_cannot_be_built_is_refused(base: Architecture, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(base, **wrong)  # type: ignore[arg-type]
