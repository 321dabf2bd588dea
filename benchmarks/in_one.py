"""A run of devit fit in one process, and the pictures that it is shown."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch

from devit.backbones import run
from devit.ensemble import Ensemble, presence
from devit.evaluation import latencies_ms
from devit.files import Part, load_fusion, load_part
from models.preprocessing import preprocess
from pipeline.clock import SystemClock
from pipeline.items import Frame, Pixels
from sources.base import FrameGeometry
from sources.file import FileSource
from sources.labelled import Protocol, open_examples, views

SIDE = 32


class InOne:
    """The run's models in this process, and what they make of the pictures of `video`."""

    def __init__(self, run_folder: Path, video: Path) -> None:
        paths = sorted(run_folder.glob("part-*.safetensors"))
        self.parts = [load_part(path) for path in paths]
        self.saved = load_fusion(run_folder / "fusion.safetensors", [part.digest for part in self.parts])
        self.large: Part = load_part(run_folder / "large.safetensors")
        self.ensemble = Ensemble([part.model for part in self.parts], self.saved.fusion).eval()
        self.spec = self.parts[0].info.architecture.spec
        geometry = FrameGeometry(self.spec.input_size, self.spec.crop_pct)
        frames = FileSource(video, "pictures", geometry, SystemClock()).frames()
        self.frames = np.stack([frame.pixels[None] for frame in frames if isinstance(frame, Frame)])
        with torch.inference_mode():
            self.tokens = self.ensemble.tokens(preprocess(self.frames, self.spec))

    def confidences(self, parts: Sequence[int]) -> "torch.Tensor":
        """Of each picture, with some parts alone."""
        mask = presence(parts, len(self.parts), len(self.frames))
        with torch.inference_mode():
            return self.saved.fusion(self.tokens, mask).logits.softmax(1)

    def times_ms(self) -> dict[str, float]:
        """The large model, each part and the fusion, on one core, one clip at a time."""
        one = self.frames[:1]
        tokens = [token[:1] for token in self.tokens]

        def forward(part: Part) -> Callable[[], object]:
            spec = part.info.architecture.spec
            return lambda: run(part.model, preprocess(one, spec))

        works: dict[str, Callable[[], object]] = {"large model": forward(self.large)}
        works |= {f"part {place}": forward(part) for place, part in enumerate(self.parts, 1)}
        return latencies_ms(works | {"fusion": partial(self.saved.fusion, tokens)})


def write_pictures(path: Path, data: Path, count: int, fps: float) -> list[str]:
    """Pictures of `data` as a video that loses nothing; returns their classes."""
    with open_examples(data, limit=count) as examples, av.open(path, "w") as container:
        order = np.random.default_rng(0).permutation(len(examples))
        chosen = [examples[int(index)] for index in order]
        pictures = [views(one, FrameGeometry(SIDE), 1, Protocol.parse("1x1", 1))[0, 0] for one in chosen]
        stream = container.add_stream("ffv1", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "bgr0"
        for picture in [*map(_as_bgr0, pictures), None]:
            for packet in stream.encode(picture):
                container.mux(packet)
        return [one.label or str(one.class_id) for one in chosen]


def _as_bgr0(picture: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
