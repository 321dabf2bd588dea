"""Procedural textures, shapes and colours, drawn alike at every resolution."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Polygon = NDArray[np.float64]

DARK, LIGHT = (20.0, 95.0), (150.0, 240.0)
SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Surface:
    """A texture on the square -1..1: two colours RGB [2, 3], mixed by a pattern of `kind`.

    `waves` [k, 3] holds the pattern's frequencies along x and y and its phases, in radians;
    `sharpness` makes soft waves (1) or hard edges (more).
    """

    kind: str
    colours: Plane
    waves: Plane
    sharpness: float


def random_colours(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Colour pairs RGB [2, 3] for what is behind and what is in front, one of them dark, one light."""
    dark, light = (_tinted(rng, level) for level in (DARK, LIGHT))
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def _tinted(rng: np.random.Generator, level: tuple[float, float]) -> Plane:
    grey = rng.uniform(*level, size=(2, 1))
    tint = rng.uniform(-35, 35, size=(2, 3))
    return np.asarray(np.clip(grey + tint - tint.mean(1, keepdims=True), 0, 255), dtype=np.float32)


def draw_surface(rng: np.random.Generator, colours: Plane, cycles: tuple[float, float]) -> Surface:
    """Draw a random texture whose waves repeat `cycles` (least, most) times across it."""
    kind = str(rng.choice(list(PATTERNS)))
    turns = rng.uniform(*cycles, size=3)
    direction = rng.uniform(0, 2 * math.pi) + np.array([0, math.pi / 2, rng.uniform(0.5, 2.5)])
    phase = rng.uniform(0, 2 * math.pi, size=3)
    waves = np.stack([turns * np.cos(direction), turns * np.sin(direction), phase / math.pi], axis=1)
    return Surface(kind, colours, np.asarray(waves * math.pi, dtype=np.float32), float(rng.uniform(1, 4)))


def paint(surface: Surface, side: int) -> Plane:
    """Draw a surface as float32 [side, side, 3], values 0..255."""
    across = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    x, y = across[None, :], across[:, None]
    phases = [wave[0] * x + (wave[1] * y + wave[2]) for wave in surface.waves]
    mix = np.clip(PATTERNS[surface.kind](*phases) * (surface.sharpness / 2) + 0.5, 0, 1)
    first, second = surface.colours
    return np.asarray(mix[:, :, None] * (second - first) + first, dtype=np.float32)


def _stripes(a: Plane, b: Plane, c: Plane) -> Plane:
    return np.sin(a)


def _checks(a: Plane, b: Plane, c: Plane) -> Plane:
    return np.sin(a) * np.sin(b)


def _clouds(a: Plane, b: Plane, c: Plane) -> Plane:
    return np.asarray((np.sin(a + np.sin(b)) + np.sin(b + np.sin(c)) + np.sin(c)) / 2, dtype=np.float32)


def _bricks(a: Plane, b: Plane, c: Plane) -> Plane:
    return np.sin(a + np.sign(np.sin(b)))


PATTERNS: dict[str, Callable[[Plane, Plane, Plane], Plane]] = {
    "stripes": _stripes,
    "checks": _checks,
    "clouds": _clouds,
    "bricks": _bricks,
}


def draw_outline(rng: np.random.Generator) -> Polygon:
    """Draw a shape inside the unit circle: a polygon [n, 2] that no small turn maps onto itself."""
    kind = rng.choice(["polygon", "star", "box", "blob"])
    if kind == "box":
        return _box(rng.uniform(0.35, 0.8))
    if kind == "star":
        return _spokes(np.tile([1.0, rng.uniform(0.45, 0.65)], rng.integers(3, 6)))
    if kind == "polygon":
        return _spokes(np.ones(rng.integers(3, 6)))
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    bumps = np.cos(2 * angle) + np.cos(3 * angle + rng.uniform(0, 2 * math.pi))
    return _spokes(0.75 + 0.12 * bumps)


def _box(ratio: float) -> Polygon:
    corners = np.array([[1, ratio], [-1, ratio], [-1, -ratio], [1, -ratio]])
    return np.asarray(corners / math.hypot(1, ratio))


def _spokes(radius: NDArray[np.float64]) -> Polygon:
    angle = np.linspace(0, 2 * math.pi, len(radius), endpoint=False)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def fill(outline: Polygon, side: int) -> Plane:
    """Cover a picture [side, side] with a shape, 0 outside to 1 inside, smooth at the edge."""
    mask = np.zeros((side, side), np.uint8)
    scale = (side / 2 - 2) * 2**SUBPIXEL_BITS
    centre = (side - 1) / 2 * 2**SUBPIXEL_BITS
    points = np.rint(outline * scale + centre).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return np.asarray(mask / np.float32(255), dtype=np.float32)
