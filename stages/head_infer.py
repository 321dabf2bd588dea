"""Head inference: the layers in front of the cut, on the device's model thread."""

import time
from dataclasses import replace

import numpy as np
import torch

from models import SplitViT, Tokens
from pipeline.clock import Clock
from pipeline.items import Clip, Features, Plan, Planned, Prediction, Pruning, Ran, Status
from pipeline.worker import Worker
from stages.classes import top_classes

MS = 1000.0


class HeadInfer:
    """Runs a planned clip up to its split; to the end where the plan keeps it on the device.

    With `slowdown` above 1 it emulates a device that takes that many times as long: the model's thread
    rests after each clip.
    """

    def __init__(
        self, model: SplitViT, worker: Worker, clock: Clock, top_k: int = 5, slowdown: float = 1.0
    ) -> None:
        self._model = model
        self._worker = worker
        self._clock = clock
        self._top_k = top_k
        self._slowdown = slowdown

    @property
    def num_tokens(self) -> int:
        """x_0 of the model."""
        return self._model.num_tokens

    @staticmethod
    def passes(planned: Planned) -> bool:
        """Whether the clip leaves as pixels, and needs no model here."""
        return planned.plan.split == 0

    async def __call__(self, planned: Planned) -> Features | Prediction:
        if self.passes(planned):
            return self.pixels(planned.clip, planned.plan)
        return await self._worker.run(self.infer, planned.clip, planned.plan)

    def pixels(self, clip: Clip, plan: Plan) -> Features:
        """The features at split 0: the clip's own pixels."""
        return Features(clip, plan, clip.frames, None, self._parts(clip, self._clock.now()))

    @torch.inference_mode()
    def infer(self, clip: Clip, plan: Plan) -> Features | Prediction:
        """Run the head; blocks, for the model thread. Split N + 1 gives the finished record."""
        started = self._clock.now()
        model = self._model
        tokens = model.embed(model.preprocess(clip.frames[None]))
        tokens = model.run_layers(tokens, 0, min(plan.split, model.num_layers), plan.pruning)
        self._rest(started)
        if plan.split > model.num_layers:
            return self._record(clip, plan, tokens, Ran.DEVICE, self._parts(clip, started))
        array, sizes = model.to_features(tokens)
        return Features(clip, plan, array, sizes, self._parts(clip, started))

    @torch.inference_mode()
    def finish(self, features: Features, pruning: Pruning | None = None) -> Prediction:
        """Run what is behind the cut here after all; blocks, for the model thread. `pruning` is of those
        layers alone; None goes on with the plan's."""
        started = self._clock.now()
        model, clip, plan = self._model, features.clip, features.plan
        if features.sizes is None:
            tokens = model.embed(model.preprocess(clip.frames[None]))
        else:
            tokens = model.from_features([(np.asarray(features.array, np.float32), features.sizes)])
        removed = plan.pruning.removed if pruning is None else (0,) * plan.split + pruning.removed
        rest = Pruning("rest", 0.0, removed)
        tokens = model.run_layers(tokens, plan.split, model.num_layers, rest)
        self._rest(started)
        record = self._record(clip, plan, tokens, Ran.RESCUE, features.latency_ms)
        taken_ms = (self._clock.now() - started) * MS
        return replace(record, latency_ms={**record.latency_ms, "rescue": taken_ms})

    def _record(
        self, clip: Clip, plan: Plan, tokens: Tokens, ran: Ran, parts: dict[str, float]
    ) -> Prediction:
        model = self._model
        return Prediction.of(
            clip,
            Status.OK,
            classes=top_classes(model.classify(tokens)[0].cpu().numpy(), model.labels, self._top_k),
            plan=plan,
            ran=ran,
            latency_ms=parts,
            model=model.id,
        )

    def _rest(self, started: float) -> None:
        if self._slowdown > 1:
            time.sleep((self._clock.now() - started) * (self._slowdown - 1))

    def _parts(self, clip: Clip, started: float) -> dict[str, float]:
        return {"wait": (started - clip.ready_at) * MS, "head": (self._clock.now() - started) * MS}
