import json

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.profile import (
    CodecProfile,
    FitError,
    LayerProfile,
    Line,
    Machine,
    Profile,
    Quadratic,
    Table,
    parse_profile,
)

FLAT = Line(base=1.0, slope=0.0)
MACHINE = Machine(host="box", processor="cpu", system="linux", dtype="float32", device="cpu", threads=1)
PROFILE = Profile(
    machine=MACHINE,
    model="motions",
    num_layers=12,
    num_tokens=129,
    dim=128,
    layer=LayerProfile(
        curve=Table(tokens=(1.0, 5.0, 9.0), values=(1.0, 2.0, 8.0)), merge_ms=FLAT, mlp_ms_per_token=0.1
    ),
    embed_ms=2.0,
    classify_ms=0.1,
    codecs={"int8": CodecProfile(kind="tokens", bytes=FLAT, encode_ms=FLAT, decode_ms=FLAT)},
    fits={"line": FitError(r2=0.9, mean_error=0.1, worst_error=0.2)},
)

CODEC = PROFILE.codecs["int8"].model_dump()

coefficients = st.floats(-1e12, 1e12)
curves = st.one_of(
    st.builds(Line, base=coefficients, slope=coefficients),
    st.builds(Quadratic, base=coefficients, slope=coefficients, square=coefficients),
    st.lists(
        st.tuples(st.integers(0, 1 << 20), st.floats(0, 1e12)), min_size=2, unique_by=lambda p: p[0]
    ).map(
        lambda points: Table(
            tokens=tuple(float(tokens) for tokens in sorted(p[0] for p in points)),
            values=tuple(sorted(p[1] for p in points)),
        )
    ),
)


def data(**changes):
    return {**json.loads(PROFILE.model_dump_json()), **changes}


def changed(path, value):
    fields = data()
    at = fields
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return fields


def test_a_profile_survives_json_and_the_wire():
    assert parse_profile(data(), "file") == PROFILE
    wire = msgpack.unpackb(msgpack.packb(PROFILE.model_dump()), use_list=False)
    assert parse_profile(wire, "cloud") == PROFILE


@given(curves, st.lists(st.integers(0, 1 << 20), min_size=1, max_size=20))
def test_every_curve_is_finite_and_never_below_zero_in_the_shape_it_was_asked(curve, tokens):
    values = curve.at(tokens)
    assert values.shape == (len(tokens),)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert curve.at(tokens[0]) == values[0]


def test_line_and_quadratic_are_what_they_say():
    np.testing.assert_allclose(Line(base=2.0, slope=3.0).at([0, 1, 10]), [2, 5, 32])
    np.testing.assert_allclose(Quadratic(base=1.0, slope=2.0, square=3.0).at([0, 1, 10]), [1, 6, 321])


def test_a_table_meets_its_points_and_goes_on_straight():
    table = Table(tokens=(2.0, 4.0, 8.0), values=(1.0, 5.0, 7.0))
    np.testing.assert_allclose(table.at([2, 3, 4, 6, 8, 10, 1]), [1, 3, 5, 6, 7, 8, 0])


def test_merging_costs_time_and_spares_the_mlp_what_it_removes():
    layer = LayerProfile(
        curve=Line(base=10.0, slope=1.0), merge_ms=Line(base=1.0, slope=0.1), mlp_ms_per_token=0.5
    )
    np.testing.assert_allclose(layer.ms([10, 10, 20], [0, 4, 4]), [20, 20 + 2 - 2, 30 + 3 - 2])
    assert layer.ms(0, 1000) == 0


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("model",), 3, "model: "),
        (("schema_version",), 2, "schema_version: "),
        (("dim",), True, "dim: "),
        (("num_tokens",), 1 << 40, "num_tokens: "),
        (("embed_ms",), float("nan"), "embed_ms: "),
        (("embed_ms",), -1.0, "embed_ms: "),
        (("overhead_ms",), "1", "overhead_ms: "),
        (("layer", "curve", "kind"), "cubic", "layer.curve: "),
        (("layer", "curve", "tokens"), [1, 5], "2 tokens do not match 3 values"),
        (("layer", "curve", "tokens"), [1, 5, 5.5], "must rise"),
        (("layer", "curve", "values"), [1, 2, 1], "must not fall"),
        (("layer", "curve", "values"), [float("inf")] * 3, "layer.curve.table.values"),
        (("layer", "merge_ms", "base"), 1e300, "layer.merge_ms.base: "),
        (("codecs", "int8", "bytes"), {}, "codecs.int8.bytes.base: Field required"),
        (("codecs",), {str(i): CODEC for i in range(65)}, "codecs: "),
        (("machine", "host"), "a\x1b[2Jb", "machine.host: must be printable"),
        (("machine", "threads"), 0, "machine.threads: "),
    ],
)
def test_a_wrong_profile_is_refused_in_one_line_that_names_the_key(path, value, complaint):
    with pytest.raises(ConfigError) as refusal:
        parse_profile(changed(path, value), "ws://cloud")
    text = str(refusal.value)
    assert text.startswith("ws://cloud: profile: ")
    assert complaint in text
    assert text.isprintable()


def test_a_hostile_key_cannot_command_a_terminal():
    with pytest.raises(ConfigError) as refusal:
        parse_profile(changed(("codecs", "\x1b[2J" + "x" * 5000), {}), "cloud")
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


@given(
    st.dictionaries(
        st.sampled_from(sorted(data())), st.recursive(st.none() | st.floats() | st.text(), st.lists)
    )
)
def test_whatever_comes_is_a_profile_or_a_config_error(changes):
    try:
        assert isinstance(parse_profile(data(**changes), "cloud"), Profile)
    except ConfigError as error:
        assert str(error).isprintable()


def test_what_a_newer_version_adds_is_ignored():
    assert parse_profile(data(moon="full"), "cloud") == PROFILE
