"""Parts and fusions that nobody trained, and what they make of moving pictures."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devit.architecture import Architecture
from devit.backbones import build
from devit.ensemble import Ensemble
from devit.files import Part, SavedFusion, digest_of, save_fusion, save_part
from devit.fusion import Fusion, FusionSpec
from devit.randomness import seeded
from devit.records import FusionInfo, PartInfo
from pipeline.items import Clip, Features, Packet, Pixels, Plan, Pruning
from stages.compress import Compress
from tests.devit.small import VIT
from tests.pipeline.clips import make_clip
from tests.stages.packets import CLOCK

LABELS = ("a", "b", "c", "d", "e")
WHOLE = Pruning("none", 0.0, ())
TEACHER = "ab" * 32


@lru_cache
def part_of(seed: int, architecture: Architecture = VIT) -> Part:
    model = build(architecture, seed=seed).eval().requires_grad_(False)
    info = PartInfo(architecture, tuple(range(architecture.num_classes)), TEACHER, "none", 0.5, seed)
    return Part(model, info, digest_of(architecture, model))


@lru_cache
def fusion_of(num_parts: int) -> SavedFusion:
    """A fusion of the parts 0, 1, ..., that asks each of them."""
    parts = [part_of(seed) for seed in range(num_parts)]
    spec = FusionSpec("linear", (VIT.dim,) * num_parts, 32, len(LABELS))
    with seeded(5):
        fusion = Fusion(spec).eval().requires_grad_(False)
    info = FusionInfo(spec, tuple(part.digest for part in parts), LABELS, TEACHER, "none", 0.5, 0)
    return SavedFusion(fusion, info, digest_of(info, fusion))


def ensemble_of(num_parts: int) -> Ensemble:
    return Ensemble([part_of(seed).model for seed in range(num_parts)], fusion_of(num_parts).fusion).eval()


def saved_parts(folder: Path, num_parts: int) -> tuple[list[Path], Path]:
    """The same parts and their fusion as files."""
    paths = [folder / f"part-{seed + 1}.safetensors" for seed in range(num_parts)]
    for seed, path in enumerate(paths):
        save_part(path, part_of(seed).model, part_of(seed).info)
    saved = fusion_of(num_parts)
    save_fusion(folder / "fusion.safetensors", saved.fusion, saved.info)
    return paths, folder / "fusion.safetensors"


def frames_of(seq: int, architecture: Architecture = VIT) -> Pixels:
    size = architecture.input_size
    shape = (architecture.frames, size, size, 3)
    drawn: NDArray[np.uint8] = np.random.default_rng(seq).integers(0, 256, shape, np.uint8)
    return drawn


def clip_of(seq: int, **times: float) -> Clip:
    return make_clip(seq, "yard", frames=frames_of(seq), **times)


def pixels_packet(clip: Clip, codec: str = "png") -> Packet:
    """As a device sends it to a peer."""
    return Compress(None, CLOCK).encode(Features(clip, Plan(WHOLE, 0, codec), clip.frames, None))
