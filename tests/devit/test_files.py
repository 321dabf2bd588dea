import json
import struct
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from devit.architecture import Architecture
from devit.backbones import build
from devit.files import digest_of, load_fusion, load_part, save_fusion, save_part
from devit.fusion import FUSIONS, Fusion, FusionSpec, Kind
from devit.records import PART, FusionInfo, PartInfo, to_metadata
from models.digest import described_digest
from pipeline.errors import ModelError
from tests.devit.small import EVERY_KIND, VIT, pixels_for

TEACHER = "ab" * 32
PARTS = ("01" * 32, "23" * 32)
INFO = PartInfo(VIT, (4, 0, 8, 6, 2), TEACHER, "cifar10", 0.9, 7)
SPEC = FusionSpec("linear", (64, 128), 6, 3)
FUSION_INFO = FusionInfo(SPEC, PARTS, (), TEACHER, "cifar10", 0.8, 7)


def saved_part(folder: Path) -> Path:
    save_part(folder / "part.safetensors", build(VIT, seed=0), INFO)
    return folder / "part.safetensors"


def rewritten(path: Path, change: dict[str, object], **tensors: torch.Tensor | None) -> None:
    """The same file with other metadata and other tensors."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() | {name: json.dumps(value) for name, value in change.items()}
        state = {name: file.get_tensor(name) for name in file.keys()} | tensors  # noqa: SIM118
    save_file({name: one for name, one in state.items() if one is not None}, path, metadata)


@pytest.mark.parametrize("architecture", EVERY_KIND, ids=lambda a: f"{a.kind}-{a.frames}")
def test_a_part_comes_back_as_it_was(architecture: Architecture, tmp_path: Path) -> None:
    model, info = build(architecture, seed=0).eval(), replace(INFO, architecture=architecture)
    digest = save_part(tmp_path / "p.safetensors", model, info)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    part = load_part(tmp_path / "p.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert (part.info, part.digest) == (info, digest)
    assert digest == digest_of(architecture, part.model)
    assert torch.equal(part.model(pixels_for(architecture)), model(pixels_for(architecture)))
    assert not part.model.training
    assert not any(parameter.requires_grad for parameter in part.model.parameters())


@pytest.mark.parametrize("kind", FUSIONS)
def test_a_fusion_comes_back_as_it_was(kind: Kind, tmp_path: Path) -> None:
    fusion, info = Fusion(replace(SPEC, kind=kind)), replace(FUSION_INFO, spec=replace(SPEC, kind=kind))
    digest = save_fusion(tmp_path / "f.safetensors", fusion, info)
    read = load_fusion(tmp_path / "f.safetensors", PARTS)
    assert (read.info, read.digest) == (info, digest)
    tokens, present = [torch.randn(2, 64), torch.randn(2, 128)], torch.tensor([[True, False], [True, True]])
    assert torch.equal(read.fusion(tokens, present).logits, fusion(tokens, present).logits)


def test_the_digest_is_of_every_weight_and_of_the_architecture() -> None:
    model = build(VIT, seed=0)
    seen = {digest_of(VIT, model), digest_of(replace(VIT, input_size=48), model)}
    for parameter in model.parameters():
        before = parameter.data.view(-1)[-1].clone()
        parameter.data.view(-1)[-1] += 1e-3
        seen.add(digest_of(VIT, model))
        parameter.data.view(-1)[-1] = before
    assert len(seen) == 2 + len(list(model.parameters()))


def test_digests_of_files_that_were_written_long_ago_stay() -> None:
    model = build(VIT, seed=0)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert digest_of(VIT, model) == "4548eb867454ad9b5742e3ad924713992715c2295b8449c32c2930cd6c8d44f2"


def test_a_fusion_refuses_parts_that_it_was_not_trained_with(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    save_fusion(path, Fusion(SPEC), FUSION_INFO)
    with pytest.raises(ModelError, match=r"f.safetensors: part 2 must be 23232323, .* not ffffffff"):
        load_fusion(path, (PARTS[0], "f" * 64))
    with pytest.raises(ModelError, match="part 1 must be 01010101"):
        load_fusion(path, PARTS[::-1])
    with pytest.raises(ModelError, match="was trained with 2 parts, not 1"):
        load_fusion(path, PARTS[:1])
    assert load_fusion(path).info.parts == PARTS


@pytest.mark.parametrize("change", [{"parts": PARTS[::-1]}, {"labels": ["b", "a", "c"]}, {"version": 1}])
def test_a_fusion_whose_parts_or_labels_were_changed_is_refused(
    change: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "f.safetensors"
    save_fusion(path, Fusion(SPEC), replace(FUSION_INFO, labels=("a", "b", "c")))
    rewritten(path, change)
    with pytest.raises(ModelError, match=r"f.safetensors: its weights.* are not those that were saved"):
        load_fusion(path)


def test_a_fusion_of_version_1_loads_with_its_digest_of_weights_and_shape_alone(tmp_path: Path) -> None:
    path, fusion, old = tmp_path / "f.safetensors", Fusion(SPEC), replace(FUSION_INFO, version=1)
    digest = save_fusion(path, fusion, old)
    assert digest == described_digest(asdict(SPEC), fusion.state_dict()) != digest_of(FUSION_INFO, fusion)
    read = load_fusion(path, PARTS)
    assert (read.info, read.digest) == (old, digest)


@pytest.mark.parametrize(
    ("change", "tensors", "said"),
    [
        ({}, {"norm.bias": None}, "norm.bias is missing"),
        ({}, {"more": torch.zeros(1)}, "more is unexpected"),
        ({}, {"norm.bias": torch.zeros(3)}, r"norm.bias is \[3\], not \[128\]"),
        ({}, {"norm.bias": torch.zeros(128).half()}, "weights must be F32, not F16"),
        ({}, {"norm.bias": torch.full((128,), torch.inf)}, "norm.bias holds values that are NaN or infinite"),
        ({}, {"norm.bias": torch.ones(128)}, "its weights are not those that were saved"),
        ({"digest": TEACHER}, {}, "its weights are not those that were saved"),
        ({"kind": "devit fusion"}, {}, "is devit fusion, not a devit part"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    change: dict[str, object], tensors: dict[str, torch.Tensor | None], said: str, tmp_path: Path
) -> None:
    path = saved_part(tmp_path)
    rewritten(path, change, **tensors)
    with pytest.raises(ModelError, match=f"part.safetensors: {said}"):
        load_part(path)


def test_a_file_that_claims_a_giant_takes_no_memory(tmp_path: Path) -> None:
    path = saved_part(tmp_path)
    giant = Architecture("vit", 65536, 1, 1, depth=1, heads=65536, mlp=65536, num_classes=5)
    for architecture, said in (
        (giant, "is unexpected|not"),
        (replace(giant, depth=65536), "too few for what"),
    ):
        metadata = to_metadata(PART, replace(INFO, architecture=architecture), TEACHER)
        rewritten(path, {name: json.loads(text) for name, text in metadata.items()})
        with pytest.raises(ModelError, match=said):
            load_part(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = saved_part(tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:5], whole[:-1], struct.pack("<Q", 1 << 60) + whole[8:], b"\x00" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"part.safetensors: not a readable safetensors file"):
            load_part(path)
    with pytest.raises(ModelError, match="no such file; give a devit fusion"):
        load_fusion(tmp_path / "absent")


def test_a_model_that_is_not_what_is_said_of_it_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"p: blocks.2.attn.proj.bias is missing"):
        save_part(tmp_path / "p", build(replace(VIT, depth=2)), INFO)
    with pytest.raises(ModelError, match="cannot be written"):
        save_part(tmp_path / "absent" / "p", build(VIT), INFO)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved_part(tmp_path)
    before = path.read_bytes()

    def broken(_state: object, unfinished: Path, _metadata: object) -> None:
        unfinished.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("devit.files.save_file", broken)
    with pytest.raises(ModelError, match="cannot be written: no space left"):
        save_part(path, build(VIT, seed=1), INFO)
    assert path.read_bytes() == before
