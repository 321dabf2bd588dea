"""The pieces of a clip's way through a model, each as serving runs it."""

from itertools import cycle

import torch

from commands.profiling.rounds import Work
from models import SplitViT, Tokens
from models.vit import Wire
from pipeline.items import Pixels, Pruning
from sources.motions import motion_sequence


class Workload:
    """One synthetic clip of `model` and the work that it makes; run that in inference mode.

    `frames` is uint8 [T, H, W, 3] of the model's own size, as sources give them.
    """

    def __init__(self, model: SplitViT, seed: int = 0) -> None:
        self._model = model
        self.frames = _frames(model, seed)
        with torch.inference_mode():
            self._embedded = model.embed(model.preprocess(self.frames[None]))
        self._indices = cycle(range(model.num_layers))

    def embed(self) -> Tokens:
        """Preprocess and embed the clip."""
        tokens = self._model.embed(self._model.preprocess(self.frames[None]))
        self._finish()
        return tokens

    def classify(self) -> None:
        """From all tokens to logits on the CPU."""
        self._model.classify(self._embedded).cpu().numpy()

    def cross(self) -> None:
        """Out of the model and into it again, as at a cut."""
        self._model.from_features([self.features()])
        self._finish()

    def features(self, depth: int = 0) -> Wire:
        """What would cross a cut after the first `depth` layers: float32 [n, D] and sizes [n]."""
        with torch.inference_mode():
            return self._model.to_features(self._model.run_layers(self._embedded, 0, depth))

    def layers(self, tokens: int, removed: int, depth: int) -> Work:
        """`depth` layers in a row, each of which `tokens` enter and which merges away `removed` of them.

        Every piece of work goes on at the layer where the last one stopped, so that weights come
        from memory as often as they do in a whole forward.
        """
        entering = self._cut(tokens)
        pruning = Pruning("uniform", removed, (removed,) * self._model.num_layers)

        def run() -> None:
            for _ in range(depth):
                index = next(self._indices)
                self._model.run_layers(entering, index, index + 1, pruning)
            self._finish()

        return run

    def _cut(self, tokens: int) -> Tokens:
        """The clip's first tokens, from the start again where there are not that many."""
        rows = torch.arange(tokens, device=self._model.device) % self._model.num_tokens
        with torch.inference_mode():
            return Tokens(self._embedded.x[:, rows], self._embedded.size[:, rows])

    def _finish(self) -> None:
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)


def _frames(model: SplitViT, seed: int) -> Pixels:
    _, frames = motion_sequence(seed, 0, max(model.clip_frames, 2), model.input_size)
    return frames[: model.clip_frames]
