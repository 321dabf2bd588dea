import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Alternative, ClassScore, Moment, PartAnswer, Plan, Prediction, Pruning, Ran, Status
from sinks.record import to_line, to_record
from tests.sinks.samples import DOCUMENTED, PLAN, PRUNING

DOCUMENTED_LINE = """
{"schema": 1, "clip_id": "abseiling/000003", "source": "abseiling", "seq": 3, "status": "ok", "reason": null,
 "start_s": 7.68, "end_s": 10.2, "predictions": [{"class": "abseiling", "class_id": 0, "confidence": 0.91}],
 "plan": {"pruning": "exponential:0.05", "split": 4, "codec": "int8+zstd", "ran": "split",
          "why": "janus+: the best level that meets the deadline"},
 "expected_ms": 212.0, "expected_parts_ms": {"wait": 2.0, "head": 80.0, "uplink": 60.0, "tail": 70.0},
 "near": [{"what": "fastest", "level": "worse", "pruning": "exponential:0.05", "split": 13, "codec": "none",
           "expected_ms": 190.0}],
 "latency_ms": {"wait": 1.2, "head": 80.1, "encode": 0.9, "uplink": 61.0, "tail": 50.3, "total": 201.4},
 "link": {"mbps": 24.1, "rtt_ms": 33.0}, "load": {"device": 1.1, "cloud": 0.9}, "budget_ms": 298.7,
 "caution": 1.0, "sla_ms": 300, "model": "vit_tiny_patch16_224@1f2e3d4c"}
"""


def ordered(text: str | bytes) -> Any:
    return json.loads(text, object_pairs_hook=list)


def test_the_record_is_the_documented_one_keys_in_order() -> None:
    assert ordered(to_line(DOCUMENTED)) == ordered(DOCUMENTED_LINE)


def test_a_clip_that_never_ran_has_no_plan_and_no_predictions() -> None:
    record = to_record(Prediction("a/000000", "a", 0, Status.DROPPED, reason="queue full"))
    assert record["predictions"] == []
    assert record["status"] == "dropped"
    assert record["reason"] == "queue full"
    assert [record[key] for key in ("plan", "expected_ms", "link", "sla_ms")] == [None] * 4
    absent = {"label", "padded", "bytes", "energy_j", "load", "budget_ms", "near", "expected_parts_ms"}
    assert not absent & record.keys()


def test_label_padding_bytes_and_energy_appear_where_there_are_any() -> None:
    known = {"label": "abseiling", "padded": 3, "bytes": 4711, "energy_j": 1.235}
    record = to_record(replace(DOCUMENTED, label="abseiling", padded=3, sent_bytes=4711, energy_j=1.23456))
    assert {key: record[key] for key in known} == known
    assert [key for key in record if key not in known] == list(to_record(DOCUMENTED))


def test_where_peers_ran_it_each_part_says_who_had_it_how_long_it_took_and_why_it_is_missing() -> None:
    parts = (
        PartAnswer(1, "10.0.0.5:8766", {"uplink": 12.04, "tail": 30.0}),
        PartAnswer(2, "10.0.0.6:8766", {}, "not in time"),
        PartAnswer(3, None, {}, "not connected"),
    )
    record = to_record(replace(DOCUMENTED, ran=Ran.PEERS, parts=parts))
    assert record["plan"]["ran"] == "peers"
    assert record["parts"] == [
        {"part": 1, "peer": "10.0.0.5:8766", "missing": None, "latency_ms": {"uplink": 12.0, "tail": 30.0}},
        {"part": 2, "peer": "10.0.0.6:8766", "missing": "not in time", "latency_ms": {}},
        {"part": 3, "peer": None, "missing": "not connected", "latency_ms": {}},
    ]
    assert "parts" not in to_record(DOCUMENTED)


def test_a_plan_without_a_forecast_expects_null_and_still_tells_of_the_link() -> None:
    plan = Plan(Pruning("none", 0, (0,)), 0, "raw", why="fixed", moment=Moment(mbps=7.5, rtt_ms=20.0))
    record = to_record(replace(DOCUMENTED, plan=plan))
    assert record["plan"]["why"] == "fixed"
    assert record["expected_ms"] is None
    assert record["link"] == {"mbps": 7.5, "rtt_ms": 20.0}
    assert not {"load", "budget_ms", "near", "expected_parts_ms"} & record.keys()
    bare = to_record(replace(DOCUMENTED, plan=replace(plan, why="", moment=None)))
    assert (bare["plan"]["why"], bare["link"]) == (None, None)


def test_a_wait_beyond_a_day_is_a_plan_that_cannot_be_carried_out() -> None:
    dead = replace(PLAN, expected_ms={"uplink": 1e9, "total": 1e9 + 5}, moment=Moment())
    record = to_record(replace(DOCUMENTED, plan=dead))
    assert (record["expected_ms"], record["expected_parts_ms"]) == (None, {"uplink": None})
    assert record["budget_ms"] is None


def test_no_joule_taken_is_a_figure_too() -> None:
    assert to_record(replace(DOCUMENTED, energy_j=0.0))["energy_j"] == 0


def test_numbers_are_rounded_to_what_they_can_mean() -> None:
    crude = replace(
        DOCUMENTED,
        start_s=1.23456789,
        classes=(ClassScore("x", 1, 0.123456789),),
        latency_ms={"total": 201.44444},
    )
    record = to_record(crude)
    assert record["start_s"] == 1.235
    assert record["predictions"][0]["confidence"] == 0.1235
    assert record["latency_ms"] == {"total": 201.4}


numbers = st.floats(allow_nan=True, allow_infinity=True)


def strictly(line: bytes) -> Any:
    return json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))


@given(numbers, numbers, numbers, st.text())
def test_every_line_is_strict_json_on_one_line(first: float, second: float, third: float, text: str) -> None:
    plan = replace(
        PLAN,
        expected_ms={"head": third, "total": first},
        why=text,
        near=(Alternative(text, text, PRUNING, 13, text, second),),
        moment=Moment(first, second, third, first, second, third, first, second),
    )
    line = to_line(
        replace(
            DOCUMENTED,
            clip_id=text,
            reason=text,
            start_s=first,
            classes=(ClassScore(text, 0, second),),
            latency_ms={"total": third},
            sla_ms=second,
            plan=plan,
        )
    )
    assert line.count(b"\n") == 1
    record = strictly(line)
    assert record["clip_id"] == text
    for key, value in ((record["start_s"], first), (record["link"]["mbps"], second)):
        assert (key is None) == (not math.isfinite(value))
    assert (record["budget_ms"] is None) == (not -math.inf < first < 86_400_000)
    assert (record["near"][0]["expected_ms"] is None) == (not -math.inf < second < 86_400_000)
