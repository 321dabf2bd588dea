"""A clip that compresses as real ones do: smooth pictures that move a little."""

import numpy as np


def smooth_clip(num_frames: int = 4, size: int = 64) -> np.ndarray:
    """uint8 [num_frames, size, size, 3]."""
    time, row, column = np.meshgrid(np.arange(num_frames), np.arange(size), np.arange(size), indexing="ij")
    channels = [128 + 100 * np.sin((row + column * k + 3 * time) / (9 + 4 * k)) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)
