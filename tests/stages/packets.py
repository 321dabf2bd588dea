"""Plans, clips and packets of a real model for tests of stages, and clocks that tell on their readers."""

import threading

from models import SplitViT
from pipeline.clock import ManualClock
from pipeline.items import Clip, Packet, Plan
from scheduling.pruning import parse_pruning
from sources.motions import motion_sequence
from stages.compress import Compress
from stages.head_infer import HeadInfer
from tests.pipeline.clips import make_clip

CLOCK = ManualClock()


class TickingClock(ManualClock):
    """Each reading is `tick_s` after the one before; notes the threads that read it."""

    def __init__(self, start_s: float = 0.0, tick_s: float = 0.25) -> None:
        super().__init__(start_s)
        self.threads: set[str] = set()
        self._tick_s = tick_s

    def now(self) -> float:
        self.threads.add(threading.current_thread().name)
        now = super().now()
        self.advance(self._tick_s)
        return now


def motion(seq: int = 0, **times: float) -> Clip:
    return make_clip(seq, "pattern", frames=motion_sequence(5, seq)[1], **times)


def plan_for(model: SplitViT, split: int, pruning: str = "none", codec: str | None = None) -> Plan:
    codec = codec or ("raw" if split == 0 else "float32")
    return Plan(parse_pruning(pruning, model.num_layers, model.num_tokens), split, codec)


def packet_of(model: SplitViT, clip: Clip, plan: Plan) -> Packet:
    head = HeadInfer(model, None, CLOCK)
    features = head.infer(clip, plan) if plan.split else head.pixels(clip, plan)
    return Compress(None, CLOCK).encode(features)
