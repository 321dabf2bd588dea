"""Predictions to write, and what was written of them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pipeline.items import Alternative, ClassScore, Moment, Plan, Prediction, Pruning, Ran, Status

PRUNING = Pruning("exponential", 0.05, (3, 2, 1))
PLAN = Plan(
    PRUNING,
    4,
    "int8+zstd",
    expected_ms={"wait": 2.0, "head": 80.0, "uplink": 60.0, "tail": 70.0, "total": 212.0},
    why="janus+: the best level that meets the deadline",
    near=(Alternative("fastest", "worse", PRUNING, 13, "none", 190.0),),
    expected_bytes=48_000.0,
    moment=Moment(budget_ms=298.7, mbps=24.1, rtt_ms=33.0, device_factor=1.1, cloud_factor=0.9),
)
DOCUMENTED = Prediction(
    clip_id="abseiling/000003",
    source="abseiling",
    seq=3,
    status=Status.OK,
    start_s=7.68,
    end_s=10.2,
    classes=(ClassScore("abseiling", 0, 0.91),),
    plan=PLAN,
    ran=Ran.SPLIT,
    latency_ms={"wait": 1.2, "head": 80.1, "encode": 0.9, "uplink": 61.0, "tail": 50.3, "total": 201.4},
    sla_ms=300,
    model="vit_tiny_patch16_224@1f2e3d4c",
)


def numbered(seq: int) -> Prediction:
    """The documented prediction as the `seq`-th of its source."""
    return replace(DOCUMENTED, clip_id=f"abseiling/{seq:06d}", seq=seq, start_s=seq * 2.56)


def rows(path: Path, what: str = "*") -> list[tuple]:
    """Columns of all rows of a database of results."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {what} FROM predictions ORDER BY clip_id").fetchall()
