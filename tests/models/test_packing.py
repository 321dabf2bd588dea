import pytest
import torch

from models import configure_threads, create_model
from models.linear import Int8Linear, Int8OneDnnLinear, Linear, OneDnnLinear
from pipeline.errors import ModelError


@pytest.mark.parametrize("dtype", ["float16", "", "FLOAT32"])
def test_an_unknown_dtype_is_answered_with_the_known_ones(dtype: str) -> None:
    with pytest.raises(ModelError, match="choose one of float32, bfloat16, int8"):
        create_model("motions", "random", dtype=dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_refused_by_name(device: str) -> None:
    with pytest.raises(ModelError, match=f"device '{device}'"):
        create_model("motions", "random", device=device)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_models_run_without_the_fast_forms(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    pixels = torch.randn(1, 3, 16, 64, 64)
    fast = create_model("motions", "random", dtype=dtype)(pixels)  # type: ignore[arg-type]
    monkeypatch.setattr(OneDnnLinear, "is_available", lambda number: False)
    monkeypatch.setattr(Int8OneDnnLinear, "is_available", lambda: False)
    model = create_model("motions", "random", dtype=dtype)  # type: ignore[arg-type]
    assert isinstance(model.layers[0].mlp.fc1, Int8Linear if dtype == "int8" else Linear)
    assert (model.dtype, model.device) == (dtype, torch.device("cpu"))
    assert (model(pixels) - fast).norm() / fast.norm() < (1e-5 if dtype == "float32" else 0.05)


def test_threads_are_set_by_the_process_that_asks() -> None:
    before = torch.get_num_threads()
    configure_threads(1)
    assert torch.get_num_threads() == 1
    configure_threads(before)
    with pytest.raises(ModelError, match="1 or more"):
        configure_threads(0)
