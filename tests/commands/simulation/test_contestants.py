import pytest

from commands.simulation.contestants import NAMES, PAPERS, Contestant, Entry, Rules, contestants
from pipeline.errors import ConfigError
from scheduling.traces import constant, generate_lte
from tests.scheduling.simulation.setups import parsed

TASK = parsed().tasks[0]


def entry(name: str, codecs="every", **rules) -> Entry:
    return Entry(Contestant(name, codecs), TASK, Rules(**rules))


class TestContestants:
    def test_are_all_where_none_is_named(self):
        found = [(one.name, one.codecs) for one in contestants((), Rules())]
        assert found == [
            *((name, "paper") for name in PAPERS),
            *((name, "encoded") for name in PAPERS),
            *((name, "every") for name in NAMES if name not in PAPERS),
        ]

    def test_keep_their_order_whatever_the_order_of_the_names(self):
        found = contestants(("oracle", " janus"), Rules())
        assert [(one.name, one.codecs) for one in found] == [
            ("janus", "paper"),
            ("janus", "encoded"),
            ("oracle", "every"),
        ]

    def test_need_one_kind_of_pixels_where_none_are_sent(self):
        found = contestants((), Rules(pixels_stay=True))
        assert {one.codecs for one in found} == {"paper", "every"}
        assert "cloud-only" not in {one.name for one in found}

    def test_of_an_unknown_name_are_refused(self):
        with pytest.raises(ConfigError, match=r"'janus-'.*choose from device-only"):
            contestants(("janus-",), Rules())


class TestAnEntry:
    def test_uses_only_its_own_codecs(self):
        for codecs in ("paper", "encoded", "every"):
            used = {one.plan.codec for one in entry("janus", codecs).outcomes(generate_lte(1, 20), 30)}
            assert used <= {*TASK.codecs[codecs].every, "none"}
            assert used - {"none"}

    def test_that_is_strict_counts_no_loss_as_none(self):
        trace = constant(100.0)
        strict, loose = (entry(name).outcomes(trace, 5) for name in ("janus+ strict", "janus+"))
        assert {one.plan.codec for one in strict} == {"png"}
        assert {one.plan.codec for one in loose} == {"jpeg:95"}

    def test_prefers_the_round_trip_of_the_trace(self):
        slow, quick = constant(50.0, rtt_ms=100), constant(50.0)
        janus = entry("cloud-only", "paper")
        difference = janus.outcomes(slow, 10)[0].latency_ms - janus.outcomes(quick, 10)[0].latency_ms
        assert difference == pytest.approx(90)

    def test_takes_as_long_as_its_traces_together(self):
        trace = constant(5.0)
        one, two = (entry("device-only", "paper").row("x", [trace] * count, 20) for count in (1, 2))
        assert two.clips == 2 * one.clips
        assert two.throughput == pytest.approx(one.throughput)
        assert (two.group, two.policy, two.task, two.pixels) == ("x", "device-only", "still", "paper")

    def test_of_the_oracle_is_never_slower_in_the_mean_than_janus_plus(self):
        trace = generate_lte(3, 60)
        oracle, plus = (entry(name, rescue=False).row("x", [trace], 30) for name in ("oracle", "janus+"))
        assert oracle.violation_ratio <= plus.violation_ratio
