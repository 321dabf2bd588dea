"""Synthetic clips of eight motions: a textured object over a textured background."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.items import Pixels
from sources.textures import Plane, draw_outline, draw_surface, fill, paint, random_colours

LABELS: tuple[str, ...] = (
    "left",
    "right",
    "up",
    "down",
    "grow",
    "shrink",
    "clockwise",
    "counter-clockwise",
)
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
SIZES = range(32, 1025)
FRAMES = range(2, 257)

Track = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Path:
    """Where the object is in each frame: centre [T, 2] (x, y) and radius [T] in picture widths,
    angle [T] in degrees, clockwise as seen on the screen."""

    centre: Track
    radius: Track
    angle: Track


def motion_sequence(seed: int, index: int, frames: int = 16, size: int = 64) -> tuple[str, Pixels]:
    """Label and pixels of the `index`-th clip of `seed`; every block of eight has every label once."""
    label = motion_label(seed, index)
    return label, motion_clip(np.random.default_rng((seed, 1, index)), label, frames, size)


def motion_label(seed: int, index: int) -> str:
    """The label of the `index`-th clip of `seed`, without drawing it."""
    block, place = divmod(index, len(LABELS))
    order = np.random.default_rng((seed, 0, block)).permutation(len(LABELS))
    return LABELS[int(order[place])]


def motion_clip(rng: np.random.Generator, label: str, frames: int = 16, size: int = 64) -> Pixels:
    """Draw a clip uint8 [frames, size, size, 3], RGB, of an object that moves as `label` says.

    Generators in equal states draw the same scene at every size, but for the noise. ConfigError
    for an unknown label, a size outside 32..1024 or frames outside 2..256.
    """
    require_drawable(frames, size)
    if label not in LABELS:
        raise ConfigError(f"motion {label!r} is unknown; choose one of {', '.join(LABELS)}")
    path = draw_path(rng, label, frames)
    behind, front = random_colours(rng)
    background = paint(draw_surface(rng, behind, cycles=(1.0, 4.0)), size)
    surface = draw_surface(rng, front, cycles=(0.8, 2.0))
    outline = draw_outline(rng)
    side = math.ceil(2 * size * float(np.median(path.radius)))
    tile = np.dstack([paint(surface, side), fill(outline, side)])
    return _expose(rng, _compose(background, tile, path))


def draw_path(rng: np.random.Generator, label: str, frames: int) -> Path:
    """Draw how the object moves: as `label` says, with a little of the other motions mixed in."""
    progress = _progress(rng, frames)
    start_angle, turn = rng.uniform(0, 360), rng.uniform(-6, 6)
    radius, ratio = rng.uniform(0.15, 0.24), rng.uniform(0.95, 1.05)
    travel = rng.uniform(-0.03, 0.03, size=2)
    if label in DIRECTIONS:
        travel = travel + rng.uniform(0.28, 0.55) * np.array(DIRECTIONS[label])
    elif label in ("grow", "shrink"):
        radius, ratio = rng.uniform(0.19, 0.24), rng.uniform(1.7, 2.6) ** (1 if label == "grow" else -1)
    else:
        radius = rng.uniform(0.2, 0.32)
        turn = rng.uniform(60, 150) * (1 if label == "clockwise" else -1)
    return Path(
        centre=_middle(rng, travel, radius * max(ratio, 1 / ratio) ** 0.5) + np.outer(progress, travel),
        radius=radius * ratio**progress,
        angle=start_angle + turn * progress,
    )


def _progress(rng: np.random.Generator, frames: int) -> Track:
    """From -0.5 to 0.5, never backwards, a little faster at the beginning or at the end."""
    even = np.linspace(-0.5, 0.5, frames)
    return np.asarray(even + rng.uniform(-0.5, 0.5) * (even**2 - 0.25))


def _middle(rng: np.random.Generator, travel: Track, radius: float) -> Track:
    """The middle of the path: anywhere that keeps most of the object in the picture."""
    room = np.maximum(0.5 - 0.9 * radius - np.abs(travel) / 2, 0.02)
    return np.asarray(0.5 + rng.uniform(-1, 1, size=2) * room)


def _compose(background: Plane, tile: Plane, path: Path) -> Plane:
    """Lay `tile` [n, n, 4] (RGB and cover) over `background` along `path`: float32 [T, H, W, 3]."""
    scene = np.repeat(background[None], len(path.angle), axis=0)
    for frame, picture in enumerate(scene):
        _lay(picture, tile, path, frame)
    return scene


def _lay(picture: Plane, tile: Plane, path: Path, frame: int) -> None:
    """Blend the object of one frame into `picture`, in the box that it can touch."""
    size, side = picture.shape[0], tile.shape[0]
    reach = path.radius[frame] * size + 1
    centre = path.centre[frame] * size - 0.5
    left, top = (max(0, math.floor(middle - reach)) for middle in centre)
    right, bottom = (min(size, math.ceil(middle + reach) + 1) for middle in centre)
    matrix = cv2.getRotationMatrix2D((0, 0), -path.angle[frame], 2 * path.radius[frame] * size / side)
    matrix[:, 2] = centre - (left, top) - matrix[:, :2].sum(axis=1) * ((side - 1) / 2)
    placed = cv2.warpAffine(tile, matrix, (right - left, bottom - top))
    box = picture[top:bottom, left:right]
    box += placed[:, :, 3:] * (placed[:, :, :3] - box)


def _expose(rng: np.random.Generator, scene: Plane) -> Pixels:
    """Photograph the scene: brightness, contrast and sensor noise that differ from clip to clip."""
    gain, offset, sigma = rng.uniform(0.8, 1.15), rng.uniform(-15, 15), rng.uniform(0, 8)
    frames, size = scene.shape[:2]
    wide = size + size // 2
    grain = rng.standard_normal((wide, wide, 3), dtype=np.float32)
    grain = grain * np.float32(sigma) + np.float32(offset)
    scene *= np.float32(gain)
    for frame, (top, left) in enumerate(rng.integers(0, wide - size, size=(frames, 2))):
        scene[frame] += grain[top : top + size, left : left + size]
    return np.asarray(np.clip(scene, 0, 255, out=scene), dtype=np.uint8)


def require_drawable(frames: int, size: int) -> None:
    """ConfigError when no motion clip has this many frames or this size."""
    if size not in SIZES:
        raise ConfigError(f"a motion clip of size {size} cannot be drawn; choose {SIZES[0]} to {SIZES[-1]}")
    if frames not in FRAMES:
        raise ConfigError(
            f"a motion clip of {frames} frames cannot be drawn; choose {FRAMES[0]} to {FRAMES[-1]}"
        )
