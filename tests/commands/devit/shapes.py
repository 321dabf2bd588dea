"""Coloured squares on noise, objects that move, and runs over them that are small enough for a test."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from commands.devit.fit import run
from commands.devit.options import FitOptions, PlanFile
from pipeline.clock import SystemClock
from sources.motions import motion_clip
from sources.writer import write_video

COLOURS = {"blue": (50, 60, 220), "green": (40, 200, 60), "grey": (130, 130, 130), "red": (220, 40, 40)}
SIZE = 16
MOTIONS = ("down", "grow", "up")


def write_shapes(folder: Path, count: int, seed: int) -> Path:
    """`count` pictures of each colour, in a sub-folder of its name."""
    draw = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            picture = draw.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
            top, left = draw.integers(0, SIZE // 2, 2)
            picture[top : top + 8, left : left + 8] = colour
            Image.fromarray(picture).save(folder / name / f"{index}.png")
    return folder


def options_for(folder: Path, **changes: Any) -> FitOptions:
    """A run over the shapes in `folder`, which are written where they are not there."""
    for name, count, seed in (("train", 20, 0), ("test", 10, 1)):
        if not (folder / name).exists():
            write_shapes(folder / name, count, seed)
    small: dict[str, Any] = {
        "data": str(folder / "train"),
        "test": str(folder / "test"),
        "model": "vit:2x2x64/8",
        "input_size": SIZE,
        "parts": 2,
        "small_depth": 1,
        "small_heads": 1,
        "small_mlp": 32,
        "batch_size": 16,
        "epochs_large": 5,
        "epochs_teachers": 1.5,
        "epochs_parts": 4,
        "epochs_fusion": 4,
        "rate_large": 1e-3,
        "rate_parts": 1e-3,
        "rate_fusion": 1e-3,
    }
    return FitOptions(**small | changes)


def fit(options: FitOptions, folder: Path, resume: bool = False, **more: Any) -> None:
    """What the verb does with these options."""
    plan = PlanFile(folder, options)
    plan.claim(resume)
    more.setdefault("began", SystemClock().now())
    assert run(options, plan, folder, device="cpu", threads=1, **more) == 0


def write_motions(folder: Path, count: int, seed: int) -> Path:
    """`count` videos of 16 frames for each of three motions, in a sub-folder of its name."""
    for name in MOTIONS:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            clip = motion_clip(np.random.default_rng((seed, index)), name, 16, 2 * SIZE)
            write_video(folder / name / f"{index}.mp4", clip, fps=10)
    return folder
