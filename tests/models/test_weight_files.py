import json
import os
import re
import struct
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from models import build_model, create_model
from models.weight_files import read_checkpoint
from pipeline.errors import ModelError
from tests.models.published import few_layers, hugging_face, videomae

NAME = "motions"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in build_model(NAME, seed=3).state_dict().items()}


class Attack:
    """Unpickling it would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("wrapper", [None, "model", "module", "state_dict", "model_state"])
def test_a_pth_file_is_read_bare_and_wrapped(
    tmp_path: Path, state: dict[str, Tensor], wrapper: str | None, suffix: str
) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save({wrapper: state, "epoch": 7} if wrapper else state, path)
    read = read_checkpoint(path).state
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_safetensors_bring_their_labels(tmp_path: Path, state: dict[str, Tensor]) -> None:
    labels = [f"class {index}" for index in range(8)]
    save_file(state, tmp_path / "w.safetensors", metadata={"labels": json.dumps(labels)})
    model = create_model(NAME, str(tmp_path / "w.safetensors"))
    assert model.labels == tuple(labels)
    assert model.digest == build_model(NAME, seed=3).digest


def test_half_precision_files_load_as_float32(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    model = create_model(NAME, tmp_path / "w.safetensors")
    assert torch.equal(model.head.weight, state["head.weight"].half().float())


@pytest.mark.parametrize("labels", ["not json", '{"0": "left"}', "[1, 2]"])
def test_labels_that_are_no_list_of_names_are_refused(tmp_path: Path, labels: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"labels": labels})
    with pytest.raises(ModelError, match=r'w.safetensors: metadata "labels" must be a JSON list'):
        read_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_code_in_a_pickle_never_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], protocol: int
) -> None:
    torch.save({"model": Attack(tmp_path / "made")}, tmp_path / "w.pth", pickle_protocol=protocol)
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ModelError, match=r"w.pth: holds more than weights") as caught,
    ):
        create_model(NAME, tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04" + bytes(100), b"\xff" * 64])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(name)) as caught:
        create_model(NAME, tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, {"state_dict": {"a": 1}}, {}])
def test_a_file_without_tensors_says_what_it_holds(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"w.pth: expected tensors by name"):
        create_model(NAME, tmp_path / "w.pth")


def test_absent_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent.pth: no such file"):
        create_model(NAME, tmp_path / "absent.pth")
    (tmp_path / "w.onnx").touch()
    with pytest.raises(ModelError, match=r"must be a .safetensors, .pth, .pt or .bin file, not .onnx"):
        create_model(NAME, tmp_path / "w.onnx")


@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_leaves_beside_the_model_is_passed_over(
    tmp_path: Path, state: dict[str, Tensor], zipped: bool
) -> None:
    leftovers = {
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3}]},
        "lr_scheduler": {"base_lrs": [0.1]},
        "epoch": 99,
        "scaler": {"scale": 65536.0},
        "args": Namespace(batch_size=64, model="vit", eps=None, betas=[0.9, 0.95], dist=True),
    }
    torch.save({"model": state} | leftovers, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert create_model(NAME, tmp_path / "w.pth").digest == build_model(NAME, seed=3).digest


def test_other_objects_beside_the_model_are_refused_with_the_way_out(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    torch.save({"model": state, "args": Namespace(output=Path("out"))}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"Path, which may be code; .* save its model alone") as caught:
        read_checkpoint(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_a_namespace_is_allowed_for_the_time_of_reading_alone(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.ones(1)}, "args": Namespace(a=1)}, tmp_path / "w.pth")
    read_checkpoint(tmp_path / "w.pth")
    assert Namespace not in torch.serialization.get_safe_globals()


FORMATS = ["w.safetensors", "w.pth", "legacy.pth"]


def write(path: Path, state: dict[str, Tensor]) -> bytearray:
    """Write `state` in the format that the file's name says; return the file's bytes."""
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.stem != "legacy")
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_one_clear_line(
    tmp_path: Path, state: dict[str, Tensor], name: str, kept: float
) -> None:
    content = write(tmp_path / name, state)
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelError, match=re.escape(name)) as caught:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@given(changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_bytes_are_read_as_weights_or_refused_in_one_line(
    tmp_path: Path, name: str, changes: list[tuple[int, int]]
) -> None:
    content = write(tmp_path / name, {"a": torch.ones(3), "b.weight": torch.ones(2, 2)})
    for place, value in changes:
        content[place % len(content)] = value
    (tmp_path / name).write_bytes(content)
    try:
        assert read_checkpoint(tmp_path / name).state
    except ModelError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("shape", [[2**40], [2**20, 2**20], [2**62, 4], [-1, 4]])
@pytest.mark.parametrize("claimed_bytes", [4, 2**42])
def test_a_header_that_claims_terabytes_is_refused(
    tmp_path: Path, shape: list[int], claimed_bytes: int
) -> None:
    header = {"head.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, claimed_bytes]}}
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(ModelError, match="not a readable safetensors file") as caught:
        read_checkpoint(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_a_shape_with_fewer_bytes_than_it_needs_is_refused(tmp_path: Path) -> None:
    torch.save({"head.weight": torch.zeros(1).expand(2**40, 128)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"head.weight claims the shape \[1099511627776, 128\]"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_packed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(2**20))
    with pytest.raises(ModelError, match=r"w.pth: would unpack to 1048576 bytes; refused unread"):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({"a": torch.ones(2, dtype=dtype)}, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth").state["a"].dtype == dtype


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, dtype=torch.int64),
        torch.ones(2, dtype=torch.bool),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, device="meta"),
    ],
)
def test_what_is_no_plain_floating_point_tensor_is_refused_by_name(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({"blocks.0.norm1.weight": tensor}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"w.pth: blocks.0.norm1.weight .* plain numbers") as caught:
        read_checkpoint(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_counters_that_libraries_save_are_left_out(tmp_path: Path) -> None:
    counters = {"bn.num_batches_tracked": torch.tensor(7), "embeddings.position_ids": torch.arange(3)}
    torch.save({"a": torch.ones(1)} | counters, tmp_path / "w.pth")
    assert list(read_checkpoint(tmp_path / "w.pth").state) == ["a"]


def test_the_origin_stands_for_the_path_in_errors(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"^hub:weights: "):
        read_checkpoint(tmp_path / "w.pth", "hub:weights")


def test_published_layouts_are_read_under_our_names(tmp_path: Path) -> None:
    state = videomae(few_layers("videomae_small_patch16_16x224"))
    save_file(
        {name: tensor.contiguous() for name, tensor in hugging_face(state).items()},
        tmp_path / "a.safetensors",
    )
    torch.save({"module": state}, tmp_path / "b.pth")
    first, second = (read_checkpoint(tmp_path / name).state for name in ("a.safetensors", "b.pth"))
    assert first.keys() == second.keys() >= {"blocks.1.attn.qkv.bias", "head.weight"}
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())
