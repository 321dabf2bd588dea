import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models import build_model, create_model
from models.checkpoints import read_checkpoint
from pipeline.errors import ModelError

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


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "model_state"])
def test_a_pth_file_is_read_bare_and_wrapped(
    tmp_path: Path, state: dict[str, Tensor], wrapper: str | None
) -> None:
    torch.save({wrapper: state, "epoch": 7} if wrapper else state, tmp_path / "w.pth")
    assert create_model(NAME, tmp_path / "w.pth").digest == build_model(NAME, seed=3).digest


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


def test_the_head_in_the_file_decides_the_number_of_classes(tmp_path: Path, state: dict[str, Tensor]) -> None:
    other = state | {"head.weight": torch.zeros(5, 128), "head.bias": torch.zeros(5)}
    save_file(other, tmp_path / "w.safetensors")
    model = create_model(NAME, tmp_path / "w.safetensors")
    assert (model.num_classes, model.labels) == (5, None)
    with pytest.raises(ModelError, match=r"2 misshapen: head.weight \[5, 128\] for \[8, 128\]"):
        create_model(NAME, tmp_path / "w.safetensors", num_classes=8)


def test_a_file_that_does_not_fit_says_what_is_wrong(tmp_path: Path, state: dict[str, Tensor]) -> None:
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


def test_code_in_a_pickle_never_runs(tmp_path: Path) -> None:
    torch.save({"model": Attack(tmp_path / "made")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="more than weights"):
        create_model(NAME, tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()


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
    with pytest.raises(ModelError, match=r"w.pth: (expected tensors by name|does not fit)"):
        create_model(NAME, tmp_path / "w.pth")


def test_absent_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent.pth: no such file"):
        create_model(NAME, tmp_path / "absent.pth")
    (tmp_path / "w.onnx").touch()
    with pytest.raises(ModelError, match=r"must be a .safetensors, .pth or .pt file, not .onnx"):
        create_model(NAME, tmp_path / "w.onnx")
