import pytest
import torch

from models import build_model, create_model
from models.digest import weights_digest
from models.registry import get_architecture


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_the_number_type_a_model_runs_in_does_not_matter(dtype: str) -> None:
    assert create_model("motions", "random", dtype=dtype).digest == create_model("motions", "random").digest  # type: ignore[arg-type]


def test_every_single_weight_matters() -> None:
    model = build_model("motions", seed=0)
    seen = {model.digest}
    for parameter in model.parameters():
        before = parameter.data.view(-1)[-1].clone()
        parameter.data.view(-1)[-1] += 1e-3
        seen.add(model.digest)
        parameter.data.view(-1)[-1] = before
    assert len(seen) == 1 + len(list(model.parameters()))


def test_the_architecture_matters_and_names_of_classes_do_not() -> None:
    spec, state = get_architecture("motions"), {"weight": torch.zeros(2)}
    assert weights_digest(spec.with_layers(11), state) != weights_digest(spec, state)
    unnamed = spec.with_classes(5).with_classes(8)
    assert unnamed.labels is None
    assert weights_digest(unnamed, state) == weights_digest(spec, state)


def test_half_precision_storage_of_the_same_values_does_not_matter() -> None:
    spec, value = get_architecture("motions"), torch.tensor([0.5, -2.0])
    assert weights_digest(spec, {"w": value.half()}) == weights_digest(spec, {"w": value})


def test_the_id_is_short_and_the_digest_whole() -> None:
    model = create_model("motions", "random")
    assert model.id == f"motions@{model.digest[:8]}"
    assert len(bytes.fromhex(model.digest)) == 32
