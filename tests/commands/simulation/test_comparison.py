from dataclasses import replace

import pytest

from commands.simulation.comparison import against_ranges, gains
from scheduling.simulation.metrics import Row
from scheduling.simulation.setup import Ranges

RANGES = Ranges(
    throughput={"cloud-only": (1.2, 5.15), "device-only": (1.23, 3.04)},
    violations={"cloud-only": (0.498, 0.983), "device-only": (0.894, 0.987)},
)
NUMBERS = (field for field in Row.__dataclass_fields__ if field not in ("group", "policy", "task", "pixels"))
BLANK = Row(group="g", policy="janus", task="t", pixels="paper", **dict.fromkeys(NUMBERS, 1.0))


def row(policy: str, throughput: float, late: float = 0.0, **rest) -> Row:
    return replace(BLANK, policy=policy, throughput=throughput, violation_ratio=late, **rest)


def cell(janus: Row, baseline: Row):
    (found,) = against_ranges([baseline, janus], RANGES)
    return found


class TestACell:
    def test_is_janus_over_the_baseline(self):
        found = cell(row("janus", 6.0, 0.1), row("cloud-only", 3.0, 0.4))
        assert (found.throughput, found.avoided) == (2.0, pytest.approx(0.75))
        assert (found.throughput_place, found.avoided_place) == ("in", "in")

    @pytest.mark.parametrize(
        ("throughput", "place"), [(1.19, "below"), (1.2, "in"), (5.15, "in"), (5.154, "in"), (5.16, "above")]
    )
    def test_says_where_the_throughput_lies_to_the_papers_digits(self, throughput, place):
        assert cell(row("janus", throughput), row("cloud-only", 1.0)).throughput_place == place

    @pytest.mark.parametrize(
        ("late", "place"), [(0.6, "below"), (0.502, "in"), (0.017, "in"), (0.01, "above"), (2.0, "below")]
    )
    def test_says_where_the_violations_lie(self, late, place):
        assert cell(row("janus", 2.0, late / 2), row("cloud-only", 1.0, 0.5)).avoided_place == place

    def test_has_nothing_to_avoid_where_the_baseline_is_never_late(self):
        found = cell(row("janus", 2.0, 0.5), row("cloud-only", 1.0, 0.0))
        assert (found.avoided, found.avoided_place) == (None, "none")

    def test_compares_only_what_shares_task_group_and_pixels(self):
        janus = row("janus", 2.0)
        others = [
            row("cloud-only", 1.0, pixels="encoded"),
            row("cloud-only", 1.0, group="h"),
            row("cloud-only", 1.0, task="u"),
            row("mixed", 1.0),
        ]
        assert list(against_ranges([janus, *others], RANGES)) == []


class TestAGain:
    oracle = row("oracle", 9.0, pixels="every", latency_mean_ms=100.0)
    janus = row("janus", 4.0, 0.02, accuracy_level=0.5)

    def gain(self, **changes):
        plus = row("janus+", 8.0, pixels="every", latency_mean_ms=105.0, accuracy_level=0.9)
        (found,) = gains([self.janus, replace(plus, **changes), self.oracle])
        return found

    def test_is_janus_plus_over_janus_and_the_oracle(self):
        found = self.gain()
        assert (found.speedup, found.over_oracle) == (2.0, 1.05)
        assert (found.level, found.janus_level, found.misses) == (0.9, 0.5, [])

    @pytest.mark.parametrize(
        ("changes", "missed"),
        [
            ({"violation_ratio": 0.0011}, "violations"),
            ({"throughput": 7.99}, "throughput"),
            ({"accuracy_level": 0.49}, "level"),
            ({"latency_mean_ms": 110.1}, "latency"),
        ],
    )
    def test_names_what_falls_short(self, changes, missed):
        assert self.gain(**changes).misses == [missed]

    def test_needs_both_beside_it(self):
        plus = row("janus+", 8.0, pixels="every")
        assert list(gains([plus, self.janus])) == []
        assert list(gains([plus, self.oracle])) == []
        assert list(gains([plus, replace(self.janus, pixels="encoded"), self.oracle])) == []
