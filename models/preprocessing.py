"""From frames as a camera gives them to the pixels that a model was trained on."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.registry import Architecture
from pipeline.errors import ModelError
from pipeline.items import Pixels


def preprocess(frames: Pixels | Tensor, spec: Architecture) -> Tensor:
    """Normalised float32 pixels of uint8 `frames` [B, T, H, W, 3], RGB.

    [B, 3, H, W] for image models, [B, 3, T, H, W] for video models. Frames of another size are
    resized and cropped as timm does: short side to floor(input_size / crop_pct), bicubic, then
    the centre. Raises ModelError for frames of another type or shape.
    """
    clips = torch.tensor(np.ascontiguousarray(frames)) if isinstance(frames, np.ndarray) else frames
    _check(clips, spec)
    batch, time = clips.shape[:2]
    pictures = _fit(clips.flatten(0, 1).permute(0, 3, 1, 2), spec)
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1).to(pictures.device) for values in (spec.mean, spec.std)
    )
    pixels = (pictures * (1 / (255 * std))).sub_(mean / std)
    by_clip = pixels.view(batch, time, *pixels.shape[1:])
    return by_clip[:, 0] if spec.clip_frames == 1 else by_clip.transpose(1, 2)


def _check(clips: Tensor, spec: Architecture) -> None:
    right = clips.dim() == 5 and clips.shape[1] == spec.clip_frames and clips.shape[4] == 3
    if clips.dtype != torch.uint8 or not right or clips.numel() == 0:
        raise ModelError(
            f"{spec.name} takes uint8 frames [batch, {spec.clip_frames}, height, width, 3], "
            f"not {str(clips.dtype).removeprefix('torch.')} {list(clips.shape)}"
        )


def _fit(pictures: Tensor, spec: Architecture) -> Tensor:
    """Resize and crop uint8 [M, 3, H, W] to the model's square."""
    size = spec.input_size
    height, width = pictures.shape[2:]
    if (height, width) == (size, size):
        return pictures
    short = math.floor(size / spec.crop_pct)
    scale = short / min(height, width)
    target = [short if side == min(height, width) else int(side * scale) for side in (height, width)]
    resized = F.interpolate(pictures, size=target, mode="bicubic", antialias=True)
    top, left = (round((side - size) / 2) for side in target)
    return resized[:, :, top : top + size, left : left + size]
