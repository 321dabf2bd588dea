"""One prediction as one JSON record: the result format, schema 1."""

import json
import math
from typing import Any

from pipeline.items import ClassScore, PartAnswer, Plan, Prediction

SCHEMA = 1
DAY_MS = 86_400_000.0


def to_record(prediction: Prediction) -> dict[str, Any]:
    """The record of docs: times in s to 0.001 and in ms to 0.1, confidence to 0.0001; null for what
    is unknown, not finite or beyond a day. `label`, `padded`, `bytes` (sent over the link) only where
    there are any, `energy_j` (to 0.001) only where the machine shows it; `load`, `near` and the expected
    parts only where a scheduler chose the plan; `parts` only where peers ran them."""
    optional = {"label": prediction.label, "padded": prediction.padded or None}
    spent = {"bytes": prediction.sent_bytes or None, "energy_j": _round(prediction.energy_j, 3)}
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
        **_expected(prediction.plan),
        "latency_ms": {part: _round(value, 1) for part, value in prediction.latency_ms.items()},
        **_known_then(prediction.plan),
        **_known(spent),
        **({"parts": [_part(part) for part in prediction.parts]} if prediction.parts else {}),
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
    return {
        "pruning": str(plan.pruning),
        "split": plan.split,
        "codec": plan.codec,
        "ran": ran,
        "why": plan.why or None,
    }


def _part(answer: PartAnswer) -> dict[str, Any]:
    """`missing` is null for a part whose token is in the answer."""
    parts = {name: _ms(value) for name, value in answer.latency_ms.items()}
    return {"part": answer.part, "peer": answer.peer, "missing": answer.missing, "latency_ms": parts}


def _expected(plan: Plan | None) -> dict[str, Any]:
    """The expected latency, its parts, and what else was near when the plan was chosen."""
    if plan is None or not plan.expected_ms:
        return {"expected_ms": None}
    parts = {part: _ms(value) for part, value in plan.expected_ms.items() if part != "total"}
    near = [
        {
            "what": other.what,
            "level": other.level,
            "pruning": str(other.pruning),
            "split": other.split,
            "codec": other.codec,
            "expected_ms": _ms(other.expected_ms),
        }
        for other in plan.near
    ]
    return {"expected_ms": _ms(plan.expected_ms["total"]), "expected_parts_ms": parts, "near": near}


def _known_then(plan: Plan | None) -> dict[str, Any]:
    """The link's estimate when the plan was chosen, and by how much each machine was off its profile."""
    if plan is None or plan.moment is None:
        return {"link": None}
    moment = plan.moment
    link = {"mbps": _round(moment.mbps, 3), "rtt_ms": _round(moment.rtt_ms, 1)}
    if not plan.expected_ms:
        return {"link": link}
    load = {"device": _round(moment.device_factor, 3), "cloud": _round(moment.cloud_factor, 3)}
    caution = _round(moment.caution, 3)
    return {"link": link, "load": load, "budget_ms": _ms(moment.budget_ms), "caution": caution}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _ms(value: float) -> float | None:
    return _round(value, 1) if value < DAY_MS else None


def _round(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)
