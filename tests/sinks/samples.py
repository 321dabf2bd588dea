"""Predictions to write."""

from dataclasses import replace

from pipeline.items import ClassScore, Plan, Prediction, Pruning, Ran, Status

PLAN = Plan(Pruning("exponential", 0.05, (3, 2, 1)), 4, "int8+zstd", {"head": 80.0, "total": 212.0})
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
    link_mbps=24.1,
    link_rtt_ms=33.0,
    sla_ms=300,
    model="vit_tiny_patch16_224@1f2e3d4c",
)


def numbered(seq: int) -> Prediction:
    """The documented prediction as the `seq`-th of its source."""
    return replace(DOCUMENTED, clip_id=f"abseiling/{seq:06d}", seq=seq, start_s=seq * 2.56)
