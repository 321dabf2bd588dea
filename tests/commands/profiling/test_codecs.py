import pytest
import torch

from commands.profiling.codecs import measure_codecs, profiled_codecs
from commands.profiling.rounds import Rounds
from commands.profiling.workload import Workload
from pipeline.clock import SystemClock
from scheduling.profile import MOST_CODECS
from transport.codecs import codec_names, family, get_codec


@pytest.fixture(scope="module")
def codecs(model):
    with torch.inference_mode():
        return measure_codecs(model, Workload(model), Rounds(2, 2, 0.0), SystemClock())


def test_every_family_is_profiled():
    assert {family(codec) for codec in profiled_codecs()} == set(codec_names())
    assert len(profiled_codecs()) <= MOST_CODECS // 2


def test_every_codec_has_its_kind_and_takes_time(codecs, model):
    assert set(codecs) == set(profiled_codecs())
    for name, codec in codecs.items():
        assert codec.kind == get_codec(name).kind
        assert codec.encode_ms.at(model.num_tokens) > 0
        assert codec.decode_ms.at(model.num_tokens) > 0


@pytest.mark.parametrize("tokens", [5, 60, 129])
def test_bytes_of_plain_layouts_are_exact(codecs, model, tokens):
    sizes = {
        "float32": 4 * model.dim,
        "float16": 2 * model.dim,
        "int8": model.dim + 8,
        "int4": model.dim / 2 + 8,
    }
    for name, per_token in sizes.items():
        assert codecs[name].bytes.at(tokens) == pytest.approx(tokens * per_token)


@pytest.mark.parametrize("name", ["int8+zstd", "int8+lz4", "float32+lzw"])
def test_bytes_of_packed_tokens_are_near_those_of_real_activations(codecs, model, name):
    array = Workload(model, seed=5).features(4)[0][:100]
    assert codecs[name].bytes.at(100) == pytest.approx(len(get_codec(name).encode(array)), rel=0.2)


def test_pixels_do_not_depend_on_tokens(codecs, model):
    frames = Workload(model).frames
    for name in ("raw", "png", "jpeg:90", "h264:23"):
        assert codecs[name].bytes.slope == 0
        assert codecs[name].bytes.base == pytest.approx(len(get_codec(name).encode(frames)), rel=0.3)
        assert codecs[name].encode_ms.slope == 0


def test_a_codec_that_cannot_carry_the_activations_is_left_out(model, monkeypatch):
    workload = Workload(model)
    features = workload.features
    monkeypatch.setattr(workload, "features", lambda depth: (features(depth)[0] * 1e6, features(depth)[1]))
    with torch.inference_mode():
        codecs = measure_codecs(model, workload, Rounds(1, 1, 0.0), SystemClock())
    assert "float16" not in codecs
    assert {"float32", "int8", "raw"} <= set(codecs)
