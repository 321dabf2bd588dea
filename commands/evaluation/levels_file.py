"""The level file: what an evaluation found, as the scheduler reads it."""

from pathlib import Path
from typing import Any

import yaml

from commands.evaluation.scores import Share
from commands.evaluation.summary import Row, Summary

PLACES = 4


def levels_of(summary: Summary, model: str, data: str) -> dict[str, Any]:
    """The content of a level file: best rows first."""
    rows = sorted(summary.rows, key=lambda row: (-round(row.accuracy, PLACES), row.work))
    return {
        "schema": 1,
        "model": model,
        "measure": summary.measure,
        "data": data,
        "levels": [_level(row) for row in rows],
    }


def write_levels(content: dict[str, Any], path: Path) -> None:
    """Write a level file as YAML; OSError where the system refuses."""
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _level(row: Row) -> dict[str, Any]:
    known = {"agreement": row.agreement, "top1": row.top1, "top5": row.top5}
    return {
        "pruning": str(row.pruning),
        "codec": row.codec,
        "accuracy": round(row.accuracy, PLACES),
        **{name: _rounded(share) for name, share in known.items() if share.value is not None},
        **({"dominated": True} if row.dominated else {}),
    }


def _rounded(share: Share) -> float:
    return round(share.value or 0.0, PLACES)
