"""One prediction as one JSON record: the result format, schema 1."""

import json
import math
from typing import Any

from pipeline.items import ClassScore, Plan, Prediction

SCHEMA = 1


def to_record(prediction: Prediction) -> dict[str, Any]:
    """The record of docs: times in s to 0.001 and in ms to 0.1, confidence to 0.0001; null for what
    is unknown or not finite. `label`, `padded` and `bytes` (sent over the link) only where there are any."""
    optional = {"label": prediction.label, "padded": prediction.padded or None}
    sent = {"bytes": prediction.sent_bytes or None}
    return {
        "schema": SCHEMA,
        "clip_id": prediction.clip_id,
        "source": prediction.source,
        "seq": prediction.seq,
        "status": str(prediction.status),
        "reason": prediction.reason,
        "start_s": _round(prediction.start_s, 3),
        "end_s": _round(prediction.end_s, 3),
        **_known(optional),
        "predictions": [_score(score) for score in prediction.classes],
        "plan": _plan(prediction),
        "expected_ms": _expected(prediction.plan),
        "latency_ms": {part: _round(value, 1) for part, value in prediction.latency_ms.items()},
        "link": _link(prediction),
        **_known(sent),
        "sla_ms": _round(prediction.sla_ms, 1),
        "model": prediction.model,
    }


def to_line(prediction: Prediction) -> bytes:
    """The record as one line of NDJSON, its newline included."""
    return json.dumps(to_record(prediction), allow_nan=False).encode("ascii") + b"\n"


def _score(score: ClassScore) -> dict[str, Any]:
    return {"class": score.name, "class_id": score.class_id, "confidence": _round(score.confidence, 4)}


def _plan(prediction: Prediction) -> dict[str, Any] | None:
    plan = prediction.plan
    if plan is None:
        return None
    ran = None if prediction.ran is None else str(prediction.ran)
    return {"pruning": str(plan.pruning), "split": plan.split, "codec": plan.codec, "ran": ran}


def _expected(plan: Plan | None) -> float | None:
    return None if plan is None else _round(plan.expected_ms.get("total"), 1)


def _link(prediction: Prediction) -> dict[str, float | None] | None:
    if prediction.link_mbps is None and prediction.link_rtt_ms is None:
        return None
    return {"mbps": _round(prediction.link_mbps, 3), "rtt_ms": _round(prediction.link_rtt_ms, 1)}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _round(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)
