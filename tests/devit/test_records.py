import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devit.fusion import FusionSpec
from devit.records import (
    FUSION,
    PART,
    FusionInfo,
    Info,
    PartInfo,
    from_metadata,
    is_clip_shape,
    is_digest,
    to_metadata,
)
from pipeline.errors import ConfigError, ModelError
from tests.devit.small import EVERY_KIND, VIT

PATH = Path("box.safetensors")
DIGEST = "0123456789abcdef" * 4
PART_INFO = PartInfo(VIT, (7, 3, 0, 1, 9), DIGEST, "cifar10", 0.875, 3)
FUSION_INFO = FusionInfo(
    FusionSpec("se", (64, 128), 6, 3), (DIGEST, DIGEST[::-1]), ("a", "b", "c"), DIGEST, "cifar10", 0.5, 3
)
BOTH = [
    (PART, PART_INFO),
    (FUSION, FUSION_INFO),
    (FUSION, replace(FUSION_INFO, crop_pct=0.875, shape=(16, 8, 8, 3))),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("kind", "info"),
    [*BOTH, *((PART, replace(PART_INFO, architecture=architecture)) for architecture in EVERY_KIND)],
)
def test_what_was_written_is_read(kind: str, info: Info) -> None:
    metadata = to_metadata(kind, info, DIGEST)
    assert all(isinstance(text, str) for text in metadata.values())
    assert from_metadata(metadata, kind, PATH) == (info, DIGEST)


@given(st.sampled_from(BOTH), st.data())
def test_any_other_value_is_read_as_it_is_or_refused_in_one_line(
    case: tuple[str, Info], data: st.DataObject
) -> None:
    kind, info = case
    metadata = to_metadata(kind, info, DIGEST)
    name = data.draw(st.sampled_from(sorted(metadata)))
    value = data.draw(json_values)
    metadata[name] = json.dumps(value)
    try:
        read, _ = from_metadata(metadata, kind, PATH)
    except ModelError as error:
        assert str(error).startswith("box.safetensors: ")
        assert "\n" not in str(error)
    else:
        assert json.loads(to_metadata(kind, read, DIGEST)[name]) == value


@pytest.mark.parametrize(("kind", "info"), BOTH)
def test_every_field_is_needed(kind: str, info: Info) -> None:
    for name in to_metadata(kind, info, DIGEST):
        metadata = to_metadata(kind, info, DIGEST)
        del metadata[name]
        with pytest.raises(ModelError, match=r"is neither|version None|metadata of a devit \w+ need"):
            from_metadata(metadata, kind, PATH)


@pytest.mark.parametrize(("kind", "info", "newest"), [(PART, PART_INFO, 1), (FUSION, FUSION_INFO, 2)])
def test_files_of_a_later_version_are_refused(kind: str, info: Info, newest: int) -> None:
    metadata = to_metadata(kind, info, DIGEST)
    assert metadata["version"] == str(newest)
    with pytest.raises(ModelError, match=rf"is of version {newest + 1}; this program reads .*{newest}$"):
        from_metadata(metadata | {"version": str(newest + 1)}, kind, PATH)


def test_a_fusion_of_the_first_version_is_of_the_old_crop_and_leaves_the_shape_to_its_parts() -> None:
    metadata = to_metadata(FUSION, FUSION_INFO, DIGEST) | {"version": "1"}
    del metadata["crop_pct"], metadata["shape"]
    info, _ = from_metadata(metadata, FUSION, PATH)
    assert isinstance(info, FusionInfo)
    assert info.crop_pct == 0.9 == VIT.spec.crop_pct
    assert info.shape is None


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (16, 224, 224, 3)])
def test_clips_are_square_and_coloured(shape: tuple[int, ...]) -> None:
    time, size = shape[:2]
    assert is_clip_shape(shape)
    for wrong in ((time, size, size + 1, 3), (time, size, size, 1), shape[1:], (0, size, size, 3)):
        assert not is_clip_shape(wrong)
    assert not is_clip_shape((True, size, size, 3))
    assert not is_clip_shape((time, 1 << 13, 1 << 13, 3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": True},
        {"accuracy": True},
        {"seed": False},
        {"classes": [True, 0, 2, 3, 4]},
        {"architecture": asdict(VIT) | {"depth": True}},
    ],
    ids=str,
)
def test_true_is_no_number(wrong: dict[str, object]) -> None:
    metadata = to_metadata(PART, PART_INFO, DIGEST) | {name: json.dumps(one) for name, one in wrong.items()}
    with pytest.raises(ModelError, match=r"box.safetensors: (is of version True|metadata do not describe)"):
        from_metadata(metadata, PART, PATH)


def test_one_kind_of_file_is_not_the_other_and_plain_weights_are_neither() -> None:
    with pytest.raises(ModelError, match="is devit part, not a devit fusion"):
        from_metadata(to_metadata(PART, PART_INFO, DIGEST), FUSION, PATH)
    with pytest.raises(ModelError, match="is neither part nor fusion of devit, not a devit part"):
        from_metadata({}, PART, PATH)


@pytest.mark.parametrize(
    "wrong", [{"kind": "a\nb"}, {"accuracy": 10**400}, {"architecture": {"a\nb": 1}}, {"version": "1\n" * 99}]
)
def test_a_refusal_is_one_short_line(wrong: dict[str, object]) -> None:
    metadata = to_metadata(PART, PART_INFO, DIGEST) | {name: json.dumps(one) for name, one in wrong.items()}
    with pytest.raises(ModelError) as refusal:
        from_metadata(metadata, PART, PATH)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["{", "[" * 100000, "\x00"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"box.safetensors: its metadata are not JSON"):
        from_metadata({"kind": text}, PART, PATH)


@pytest.mark.parametrize(
    ("info", "wrong", "said"),
    [
        (PART_INFO, {"classes": (1, 2)}, "a head of 5 rows needs as many different classes"),
        (PART_INFO, {"classes": (1, 2, 3, 4, 4)}, "a head of 5 rows needs as many different classes"),
        (PART_INFO, {"classes": (1, 2, 3, 4, -1)}, "classes must be numbers from 0 on"),
        (PART_INFO, {"accuracy": float("nan")}, "accuracy must be 0 to 1, not nan"),
        (PART_INFO, {"accuracy": 87.5}, "accuracy must be 0 to 1, not 87.5"),
        (PART_INFO, {"teacher": "somebody"}, "teacher a digest"),
        (FUSION_INFO, {"seed": "0"}, "seed and accuracy must be numbers"),
        (FUSION_INFO, {"parts": (DIGEST,)}, "parts must be 2 digests"),
        (FUSION_INFO, {"parts": (DIGEST, "x")}, "parts must be 2 digests"),
        (FUSION_INFO, {"crop_pct": 0.1}, "crop_pct must be 0.5 to 1, not 0.1"),
        (FUSION_INFO, {"crop_pct": float("nan")}, "crop_pct must be 0.5 to 1, not nan"),
        (FUSION_INFO, {"crop_pct": True}, "crop_pct must be 0.5 to 1, not True"),
        (FUSION_INFO, {"shape": (1, 8, 9, 3)}, "parts take clips"),
        (FUSION_INFO, {"labels": ("a",)}, "1 labels for 3 classes"),
        (FUSION_INFO, {"labels": ("a", "b", 3)}, "labels must be names"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    info: Info, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(info, **wrong)  # type: ignore[arg-type]


def test_a_digest_is_64_small_hexadecimal_digits() -> None:
    assert is_digest(DIGEST)
    assert not any(map(is_digest, (DIGEST[1:], DIGEST.upper(), "g" * 64, None, 7)))
