import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from commands.devit import reading
from commands.devit.reading import Shown, read_pictures
from pipeline.errors import ConfigError, SourceError
from sources.base import FrameGeometry
from sources.labelled.still import decode_still
from tests.commands.devit.shapes import COLOURS, write_shapes
from tests.data import shared_data

SHOWN = Shown(FrameGeometry(16), 1, 4, None, 0)


def test_pictures_are_as_the_evaluation_decodes_them_with_their_classes(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "train", 3, 0)
    told: list[tuple[int, int]] = []
    found = read_pictures(folder, SHOWN, tmp_path / "cache", on_progress=lambda *now: told.append(now))
    assert found.names == tuple(COLOURS)
    assert found.pictures.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    wanted = [
        decode_still((folder / name / f"{index}.png").read_bytes(), "", SHOWN.geometry)
        for name in COLOURS
        for index in range(3)
    ]
    assert np.array_equal(found.pictures.frames[:, 0].numpy(), np.stack(wanted))
    assert told == [(done, 12) for done in range(1, 13)]


def test_what_was_decoded_once_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, told = write_shapes(tmp_path / "train", 2, 0), []
    first = read_pictures(folder, SHOWN, tmp_path / "cache")
    monkeypatch.setattr(reading, "views", None)
    again = read_pictures(folder, SHOWN, tmp_path / "cache", on_progress=lambda *now: told.append(now))
    assert torch.equal(first.pictures.frames, again.pictures.frames)
    assert first.digest == again.digest
    assert told == []
    before = first.pictures.frames.clone()
    again.pictures.frames[0] = 0
    third = read_pictures(folder, SHOWN, tmp_path / "cache")
    assert torch.equal(third.pictures.frames, before)


def test_another_size_or_selection_is_another_fingerprint(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "train", 2, 0)
    others = (
        SHOWN,
        replace(SHOWN, limit=4),
        replace(SHOWN, geometry=FrameGeometry(8)),
        replace(SHOWN, frames=2),
    )
    found = [read_pictures(folder, shown, tmp_path / "cache") for shown in others]
    assert len({one.digest for one in found}) == len(others)
    assert [tuple(one.pictures.frames.shape) for one in found] == [
        (8, 1, 16, 16, 3),
        (4, 1, 16, 16, 3),
        (8, 1, 8, 8, 3),
        (8, 2, 16, 16, 3),
    ]


def test_a_picture_that_was_replaced_under_its_name_is_another_fingerprint(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "train", 2, 0)
    replaced = folder / "red" / "0.png"
    before, content = replaced.stat(), replaced.read_bytes()
    whole = read_pictures(folder, SHOWN, tmp_path / "cache")
    os.utime(replaced, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert read_pictures(folder, SHOWN, tmp_path / "cache").digest != whole.digest
    replaced.write_bytes(content + b" ")
    os.utime(replaced, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_pictures(folder, SHOWN, tmp_path / "cache").digest != whole.digest
    replaced.write_bytes(content)
    os.utime(replaced, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_pictures(folder, SHOWN, tmp_path / "cache").digest == whole.digest


def test_a_fingerprint_of_names_alone_stays_for_the_run_that_remembers_it(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "train", 2, 0)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    lines = [repr(SHOWN), *(f"{list(COLOURS).index(name.split('/')[0])} {name}" for name in names)]
    old = sha256("\n".join(lines).encode()).hexdigest()[:12]
    assert read_pictures(folder, SHOWN, tmp_path / "cache").digest != old
    assert read_pictures(folder, SHOWN, tmp_path / "cache", known="0" * 12).digest != old
    os.utime(folder / names[0])
    assert read_pictures(folder, SHOWN, tmp_path / "cache", known=old).digest == old
    assert (tmp_path / "cache" / f"frames-{old}.npy").exists()


def test_classes_that_a_model_knows_keep_their_numbers(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "test", 1, 0)
    names = ("red", "grey", "green", "blue", "pink")
    found = read_pictures(folder, SHOWN, tmp_path / "cache", names)
    assert found.names == names
    assert sorted(found.pictures.labels.tolist()) == [0, 1, 2, 3]
    assert found.pictures.labels.tolist() == [names.index(name) for name in COLOURS]


def test_a_video_gives_a_clip(tmp_path: Path) -> None:
    videos = sorted(shared_data("videos").rglob("*.mp4"))[:2]
    for name, video in zip(("one", "two"), videos, strict=True):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "it.mp4").write_bytes(video.read_bytes())
    found = read_pictures(tmp_path / "data", replace(SHOWN, frames=16, stride=2), tmp_path / "cache")
    assert found.pictures.frames.shape == (2, 16, 16, 16, 3)
    assert found.pictures.frames.float().std() > 1
    assert not torch.equal(found.pictures.frames[:, 0], found.pictures.frames[:, -1])
    assert found.videos == 2
    write_shapes(tmp_path / "data", 1, 0)
    mixed = read_pictures(tmp_path / "data", SHOWN, tmp_path / "cache")
    assert (len(mixed.pictures), mixed.videos) == (6, 2)


def test_what_would_take_too_much_memory_is_refused_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_shapes(tmp_path / "train", 2, 0)
    monkeypatch.setattr(reading, "MOST_BYTES", 8 * 16 * 16 * 3 - 1)
    with pytest.raises(ConfigError, match="8 examples take 6144 bytes once decoded, over the limit of 6143"):
        read_pictures(folder, SHOWN, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_cannot_be_learnt_from_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "flat" / "a.png")
    with pytest.raises(ConfigError, match=r"a.png has no class; give one sub-folder a class"):
        read_pictures(tmp_path / "flat", SHOWN, tmp_path / "cache")
    folder = write_shapes(tmp_path / "train", 1, 0)
    (folder / "red" / "0.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"red/0.png"):
        read_pictures(folder, SHOWN, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_a_damaged_or_foreign_cache_is_named(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "train", 1, 0)
    digest = read_pictures(folder, SHOWN, tmp_path / "cache").digest
    cached = tmp_path / "cache" / f"frames-{digest}.npy"
    for content, said in ((b"damaged", "cannot be read; remove it"), (None, "does not hold these pictures")):
        if content is None:
            np.save(cached, np.zeros((1, 1, 16, 16, 3), np.uint8))
        else:
            cached.write_bytes(content)
        with pytest.raises(ConfigError, match=said):
            read_pictures(folder, SHOWN, tmp_path / "cache")
