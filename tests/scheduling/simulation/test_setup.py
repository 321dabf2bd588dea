import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from scheduling.pruning import exponential, none
from scheduling.simulation.setup import ModelSize, Solved, parse_setup, solve_line
from tests.scheduling.simulation.setups import DIM, parsed, small_setup

PAPER = Path(__file__).resolve().parents[3] / "configs" / "paper.yaml"
SIZE = ModelSize(num_layers=24, num_tokens=577, dim=1024)


def total_ms(profile, pruning) -> float:
    layers = range(profile.num_layers)
    entering = [pruning.tokens_after(profile.num_tokens, layer) for layer in layers]
    return float(profile.layer.ms(entering, pruning.removed).sum())


def changed(value, *keys):
    """The small setup with one key set, or removed where the value is None."""
    data = copy.deepcopy(small_setup())
    place = data
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return data


class TestTheLine:
    @given(base=st.floats(0.01, 50), slope=st.floats(1e-4, 1), alpha=st.sampled_from([0.1, 0.2, 0.25]))
    def test_is_the_one_whose_layers_take_both_totals(self, base, slope, alpha):
        pruning = exponential(alpha, 24, 577)
        entering = [pruning.tokens_after(577, layer) for layer in range(24)]
        pruned_ms = sum(base + slope * tokens for tokens in entering)
        totals = Solved(none_ms=24 * (base + slope * 577), alpha=alpha, pruned_ms=pruned_ms)
        line = solve_line(totals, SIZE, "here")
        assert line.slope == pytest.approx(slope, rel=1e-6)
        assert line.base == pytest.approx(base, abs=1e-6)

    @pytest.mark.parametrize(
        ("none_ms", "alpha", "pruned_ms", "key"),
        [
            (100, 0.25, 100, "pruned_ms"),
            (100, 0.25, 200, "pruned_ms"),
            (100, 0.25, 1, "pruned_ms"),
            (100, 9.0, 50, "alpha"),
        ],
    )
    def test_is_refused_where_there_is_none(self, none_ms, alpha, pruned_ms, key):
        totals = Solved(none_ms=none_ms, alpha=alpha, pruned_ms=pruned_ms)
        with pytest.raises(ConfigError, match=f"here.{key}"):
            solve_line(totals, SIZE, "here")


class TestThePapersSetting:
    setup = parse_setup(yaml.safe_load(PAPER.read_text()), "paper.yaml")

    def test_takes_on_both_machines_what_table_1_says(self):
        image = next(task for task in self.setup.tasks if task.name == "image")
        pruned = exponential(0.25, 24, 577)
        assert total_ms(image.device, none(24, 577)) == pytest.approx(653.3)
        assert total_ms(image.device, pruned) == pytest.approx(403.2)
        assert total_ms(image.cloud, none(24, 577)) == pytest.approx(32.3)
        assert total_ms(image.cloud, pruned) == pytest.approx(22.5)

    def test_has_the_models_and_promises_of_section_5(self):
        found = {
            task.name: (task.sla_ms, task.device.num_layers, task.device.num_tokens, task.device.dim)
            for task in self.setup.tasks
        }
        assert found == {"image": (300, 24, 577, 1024), "video": (600, 24, 1568, 1024)}

    def test_sends_tokens_and_pixels_as_the_paper_does(self):
        for task in self.setup.tasks:
            assert task.codecs["paper"].tokens == ("float32+lzw",)
            assert task.codecs["paper"].pixels == ("raw32+lzw",)
            assert len(task.codecs["encoded"].pixels) == 1


class TestASetup:
    def test_scales_codecs_by_the_machine_and_the_width(self):
        task = parsed().tasks[0]
        tokens, pixels = task.device.codecs["int8+zstd"], task.device.codecs["jpeg:95"]
        assert tokens.bytes.at(10) == pytest.approx(10 * (2.5 * DIM + 8))
        assert tokens.encode_ms.at(10) == pytest.approx(10 * DIM * 50e-6 * 2)
        assert task.cloud.codecs["int8+zstd"].decode_ms.at(10) == pytest.approx(10 * DIM * 30e-6)
        assert (pixels.kind, tokens.kind) == ("pixels", "tokens")
        assert pixels.bytes.at(50) == 20_000
        assert pixels.encode_ms.at(50) == 1.0

    def test_knows_the_round_trip_of_a_group_or_the_default(self):
        assert parsed().rtt_ms("far") == 90
        assert parsed().rtt_ms("elsewhere") == 20

    def test_may_have_no_ranges(self):
        assert parse_setup(changed(None, "ranges"), "x").ranges is None

    @pytest.mark.parametrize(
        ("value", "keys", "named"),
        [
            (None, ("machines",), "machines"),
            (1, ("extra",), "extra"),
            (float("nan"), ("tasks", "still", "sla_ms"), "tasks.still.sla_ms"),
            (-1, ("tasks", "still", "sla_ms"), "tasks.still.sla_ms"),
            ("fast", ("machines", "device", "codec_factor"), "machines.device.codec_factor"),
            ({}, ("tasks",), "tasks"),
            (32, ("tasks", "still", "size", "dim"), "tasks.still.size.dim"),
            (1 << 40, ("tasks", "still", "size", "num_tokens"), "tasks.still.size.num_tokens"),
            (None, ("tasks", "still", "codecs", "every"), "every is missing"),
            (["int4"], ("tasks", "still", "codecs", "every", "tokens"), "every.tokens: codec int4"),
            (["gif"], ("tasks", "still", "codecs", "paper", "pixels"), "paper.pixels: codec gif"),
            ([], ("tasks", "still", "codecs", "paper", "pixels"), "paper.pixels"),
            (1.0, ("machines", "device", "table_1", "pruned_ms"), "machines.device.table_1.pruned_ms"),
            (99.0, ("machines", "cloud", "table_1", "alpha"), "machines.cloud.table_1.alpha"),
            (-5, ("rtt_ms", "groups", "far"), "rtt_ms.groups.far"),
            ([3], ("ranges", "throughput", "mixed"), "ranges.throughput.mixed"),
        ],
    )
    def test_that_is_wrong_says_where_in_one_line(self, value, keys, named):
        with pytest.raises(ConfigError) as raised:
            parse_setup(changed(value, *keys), "odd.yaml")
        text = str(raised.value)
        assert text.startswith("odd.yaml: ")
        assert named in text
        assert "\n" not in text

    def test_refuses_a_codec_of_unknown_fidelity(self):
        data = small_setup()
        task = data["tasks"]["still"]
        task["pixels"]["gif"] = {"bytes": 1, "encode_ms": 1, "decode_ms": 1}
        task["codecs"]["every"]["pixels"] = ["gif"]
        with pytest.raises(ConfigError, match="nothing is known of its fidelity"):
            parse_setup(data, "x")

    def test_refuses_a_codec_that_is_of_pixels_and_of_tokens(self):
        data = small_setup()
        data["tokens"]["jpeg:95"] = data["tokens"]["int8+zstd"]
        with pytest.raises(ConfigError, match="jpeg:95 is a codec of tokens too"):
            parse_setup(data, "x")
