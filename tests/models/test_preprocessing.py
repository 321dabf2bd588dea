import re

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image

from models.preprocessing import preprocess
from models.registry import get_architecture
from pipeline.errors import ModelError
from tests.data import shared_data

TINY, MOTIONS = get_architecture("vit_tiny_patch16_224"), get_architecture("motions")


def frames_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_pixels_are_normalised_by_the_models_own_mean_and_std() -> None:
    spec = get_architecture("deit_tiny_patch16_224")
    frames = frames_of(2, 1, 224, 224)
    wanted = (frames[:, 0] / 255 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(preprocess(frames, spec).numpy(), wanted.transpose(0, 3, 1, 2), atol=1e-6)


def test_clips_keep_time_behind_the_colours() -> None:
    frames = frames_of(2, 16, 64, 64)
    pixels = preprocess(frames, MOTIONS)
    assert pixels.shape == (2, 3, 16, 64, 64)
    torch.testing.assert_close(pixels[1, 2, 5], torch.tensor(frames[1, 5, :, :, 2] / 127.5 - 1).float())


def test_arrays_and_tensors_are_taken_alike_and_left_alone() -> None:
    frames = frames_of(1, 16, 64, 64)[:, ::-1]
    frames.setflags(write=False)
    before = frames.copy()
    assert torch.equal(preprocess(frames, MOTIONS), preprocess(torch.tensor(before), MOTIONS))
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (224, 300), (50, 60), (248, 248)])
def test_other_sizes_are_resized_and_cropped_to_the_models(height: int, width: int) -> None:
    assert preprocess(frames_of(1, 1, height, width), TINY).shape == (1, 3, 224, 224)


def test_resizing_agrees_with_timms_own_on_a_real_image() -> None:
    image = Image.open(shared_data("images", "imagenet-sample", "n01440764_tench.JPEG")).convert("RGB")
    transform = timm.data.create_transform(
        (3, 224, 224), mean=TINY.mean, std=TINY.std, crop_pct=TINY.crop_pct, interpolation="bicubic"
    )
    ours = preprocess(np.asarray(image)[None, None], TINY)[0]
    difference = (ours - transform(image)).abs() * 127.5
    assert difference.max() <= 2
    assert difference.mean() < 0.1


@pytest.mark.parametrize("shape", [(1, 15, 64, 64), (1, 16, 0, 64), (16, 64, 64)])
def test_frames_of_a_wrong_shape_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ModelError, match=r"motions takes uint8 frames \[batch, 16, height, width, 3\], not uint8"
    ):
        preprocess(frames_of(*shape), MOTIONS)


def test_floats_are_refused() -> None:
    with pytest.raises(ModelError, match=re.escape("not float32 [1, 16, 64, 64, 3]")):
        preprocess(torch.zeros(1, 16, 64, 64, 3), MOTIONS)
