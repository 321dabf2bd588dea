"""Small clips and records for tests of whatever carries them."""

import math

import numpy as np

from pipeline.items import Clip, Prediction, Status


def make_clip(
    seq: int = 0, source: str = "cam", *, ready_at: float = 0.0, deadline: float = math.inf, frames=None
) -> Clip:
    return Clip(
        clip_id=f"{source}/{seq:06d}",
        source=source,
        seq=seq,
        start_s=seq * 0.64,
        end_s=seq * 0.64 + 0.6,
        ready_at=ready_at,
        frames=np.zeros((2, 4, 4, 3), np.uint8) if frames is None else frames,
        deadline=deadline,
    )


def make_ok(clip: Clip) -> Prediction:
    return Prediction.of(clip, Status.OK)
