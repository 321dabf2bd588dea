import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import ClassScore, Plan, Prediction, Pruning, Status
from sinks.record import to_line, to_record
from tests.sinks.samples import DOCUMENTED

DOCUMENTED_LINE = """
{"schema": 1, "clip_id": "abseiling/000003", "source": "abseiling", "seq": 3, "status": "ok", "reason": null,
 "start_s": 7.68, "end_s": 10.2, "predictions": [{"class": "abseiling", "class_id": 0, "confidence": 0.91}],
 "plan": {"pruning": "exponential:0.05", "split": 4, "codec": "int8+zstd", "ran": "split"},
 "expected_ms": 212.0,
 "latency_ms": {"wait": 1.2, "head": 80.1, "encode": 0.9, "uplink": 61.0, "tail": 50.3, "total": 201.4},
 "link": {"mbps": 24.1, "rtt_ms": 33.0}, "sla_ms": 300, "model": "vit_tiny_patch16_224@1f2e3d4c"}
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
    assert not {"label", "padded", "bytes"} & record.keys()


def test_label_padding_and_bytes_appear_where_there_are_any() -> None:
    record = to_record(replace(DOCUMENTED, label="abseiling", padded=3, sent_bytes=4711))
    assert (record["label"], record["padded"], record["bytes"]) == ("abseiling", 3, 4711)
    assert [key for key in record if key not in {"label", "padded", "bytes"}] == list(to_record(DOCUMENTED))


def test_a_plan_without_a_forecast_expects_null() -> None:
    plan = Plan(Pruning("none", 0, (0,)), 0, "raw")
    assert to_record(replace(DOCUMENTED, plan=plan))["expected_ms"] is None


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


@given(numbers, numbers, numbers, st.text())
def test_every_line_is_strict_json_on_one_line(first: float, second: float, third: float, text: str) -> None:
    line = to_line(
        replace(
            DOCUMENTED,
            clip_id=text,
            reason=text,
            start_s=first,
            classes=(ClassScore(text, 0, second),),
            latency_ms={"total": third},
            link_mbps=first,
            sla_ms=second,
            plan=replace(
                DOCUMENTED.plan or Plan(Pruning("none", 0, ()), 0, ""), expected_ms={"total": first}
            ),
        )
    )
    assert line.count(b"\n") == 1
    record = json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))
    assert record["clip_id"] == text
    assert (record["start_s"] is None) == (not math.isfinite(first))
