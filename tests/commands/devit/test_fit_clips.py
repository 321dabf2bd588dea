"""`devit fit` over videos: models of clips see all frames, and what is served is what was trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from commands.devit.reading import Shown, read_pictures
from devit.backbones import run
from devit.ensemble import Ensemble
from devit.files import load_fusion, load_part
from models.preprocessing import preprocess
from sources.base import FrameGeometry
from stages.part_service import PartService
from tests.commands.devit.shapes import MOTIONS, SIZE, fit, options_for, write_motions
from tests.pipeline.clips import make_clip
from tests.stages.parts import pixels_packet

ONCE = dict.fromkeys(("epochs_large", "epochs_teachers", "epochs_parts", "epochs_fusion"), 1)
OWN = ("vit:2x2x64/8x16", "mae_st:2x2x64/8x16", "videomae:2x2x64/8x16")


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few videos to learn from in `train`, and others in `test`."""
    folder = tmp_path_factory.mktemp("motions")
    write_motions(folder / "train", 5, 0)
    write_motions(folder / "test", 2, 1)
    return folder


def fit_motions(motions: Path, run_folder: Path, **changes: Any) -> None:
    fit(options_for(motions, **{"stride": 1, "augment": "none"} | ONCE | changes), run_folder)


@pytest.mark.parametrize("name", OWN, ids=lambda name: name.partition(":")[0])
def test_a_model_of_clips_becomes_parts_that_serve_what_was_trained(
    name: str, motions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_motions(motions, tmp_path / "run", model=name)
    assert "frame of each video" not in capsys.readouterr().err
    large = load_part(tmp_path / "run" / "large.safetensors").info.architecture
    parts = [load_part(path) for path in sorted((tmp_path / "run").glob("part-*.safetensors"))]
    fusion = load_fusion(tmp_path / "run" / "fusion.safetensors", [part.digest for part in parts])
    assert (large.frames, fusion.info.labels) == (16, MOTIONS)
    assert (fusion.info.crop_pct, fusion.info.shape) == (large.spec.crop_pct, (16, SIZE, SIZE, 3))

    shown = Shown(FrameGeometry(SIZE, large.spec.crop_pct), 16, 1, None, 0)
    frames = read_pictures(motions / "test", shown, tmp_path / "run" / "steps").pictures.frames.numpy()
    assert not np.array_equal(frames[:, 0], frames[:, -1])
    packets = [pixels_packet(make_clip(seq, frames=clip)) for seq, clip in enumerate(frames)]
    pixels, tokens = preprocess(frames, large.spec), []
    for part in parts:
        service = PartService(part)
        served = service.run([service.decode(packet) for packet in packets])
        tokens.append(torch.from_numpy(np.stack(served)))
        torch.testing.assert_close(tokens[-1], run(part.model, pixels).token, rtol=1e-4, atol=1e-5)
    logits = Ensemble([part.model for part in parts], fusion.fusion)(pixels).logits
    torch.testing.assert_close(fusion.fusion(tokens).logits, logits, rtol=1e-4, atol=1e-4)


def test_every_training_of_clips_lowers_its_loss(motions: Path, tmp_path: Path) -> None:
    longer = dict.fromkeys(("epochs_large", "epochs_parts", "epochs_fusion"), 12)
    fit_motions(motions, tmp_path / "run", model="videomae:2x2x64/8x16", **longer)
    losses: dict[str, list[float]] = {}
    for line in map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines()):
        losses.setdefault(line["training"], []).append(line["loss"])
    for training in ("large", "part-1", "part-2", "fusion"):
        assert losses[training][-1] < losses[training][0]


def test_a_model_of_images_says_that_it_sees_one_frame_of_a_video(
    motions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = dict.fromkeys(ONCE, 0)
    fit_motions(motions, tmp_path / "run", **nothing)
    said = " ".join(capsys.readouterr().err.split())
    assert "train: vit:2x2x64/8 is for images and sees one frame of each video" in said


def test_a_model_of_clips_says_that_images_do_not_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_for(tmp_path, model=OWN[0], test=None, **dict.fromkeys(ONCE, 0))
    fit(options, tmp_path / "run")
    said = " ".join(capsys.readouterr().err.split())
    assert "train: 80 images are shown as clips of 16 frames that are all alike" in said
