"""From a decoded picture to a small square RGB array, touching as few pixels as possible."""

from functools import lru_cache

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.items import Pixels
from sources.base import FrameGeometry

# 8-bit planes that can be cropped and resized one by one, before any colour is computed.
PLANAR = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})

# (Kr, Kb) by FFmpeg's AVColorSpace: BT.709 and BT.2020; everything else, unstated too, is BT.601.
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
BT601 = (0.299, 0.114)
FULL_RANGE = 2
CENTRE = 0.5

Box = tuple[slice, slice]


def to_square(frame: av.VideoFrame, geometry: FrameGeometry, along: float = CENTRE) -> Pixels:
    """Crop, resize, convert and turn one decoded picture: uint8 [S, S, 3], RGB.

    `along`, 0 to 1, moves the crop along the longer side of the picture as stored, from left or top to
    right or bottom; across that side it stays in the centre.
    Resizing the Y, U and V planes first and converting the small square afterwards costs a tenth
    of converting the whole picture, and any matrix and range then come for free.
    """
    planar = frame.format.name in PLANAR and min(frame.width, frame.height) >= 2
    square = _from_planes(frame, geometry, along) if planar else _from_rgb(frame, geometry, along)
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(square, quarters)) if quarters else square


def _from_planes(frame: av.VideoFrame, geometry: FrameGeometry, along: float) -> Pixels:
    full = frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj")
    top, left, side = _crop(frame, geometry, along, align=2)
    planes = []
    for index in range(3):
        plane = _plane(frame, index)
        across, down = -(-frame.width // plane.shape[1]), -(-frame.height // plane.shape[0])
        box = _box(top // down, side // down), _box(left // across, side // across)
        planes.append(_resize(plane[box], geometry.input_size))
    matrix = _rgb_matrix(*LUMA_WEIGHTS.get(frame.colorspace, BT601), full)
    return _uint8(cv2.transform(cv2.merge(planes), matrix))


def _from_rgb(frame: av.VideoFrame, geometry: FrameGeometry, along: float) -> Pixels:
    pixels = _uint8(frame.to_ndarray(format="rgb24"))
    top, left, side = _crop(frame, geometry, along, align=1)
    return _resize(pixels[_box(top, side), _box(left, side)], geometry.input_size)


def _crop(frame: av.VideoFrame, geometry: FrameGeometry, along: float, align: int) -> tuple[int, int, int]:
    """Top, left and side of the crop, in multiples of `align` pixels."""
    height, width = frame.height, frame.width
    side = max(align, round(min(height, width) * geometry.crop_pct) // align * align)
    down, across = (along, CENTRE) if height > width else (CENTRE, along)
    return _start(height - side, down, align), _start(width - side, across, align), side


def _start(room: int, along: float, align: int) -> int:
    return int(room * along) // align * align


def _box(start: int, size: int) -> slice:
    return slice(start, start + size)


def _plane(frame: av.VideoFrame, index: int) -> Pixels:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return _uint8(rows[: plane.height, : plane.width])


def _resize(plane: Pixels, side: int) -> Pixels:
    return _uint8(cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR))


def _uint8(array: NDArray[np.generic]) -> Pixels:
    return array.astype(np.uint8, copy=False)


@lru_cache(maxsize=16)
def _rgb_matrix(kr: float, kb: float, full_range: bool) -> NDArray[np.float32]:
    """YUV to RGB as [3, 4], offsets last (ITU-R BT.601, BT.709 and BT.2020 differ in Kr and Kb only)."""
    black, luma, chroma = (0, 1.0, 1.0) if full_range else (16, 255 / 219, 255 / 224)
    red, blue, kg = 2 * (1 - kr), 2 * (1 - kb), 1 - kr - kb
    weights = np.array([[1, 0, red], [1, -blue * kb / kg, -red * kr / kg], [1, blue, 0]])
    weights *= [luma, chroma, chroma]
    return np.column_stack([weights, -weights @ [black, 128, 128]]).astype(np.float32)
