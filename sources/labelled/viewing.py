"""The views of an example that a model is shown."""

from pathlib import Path

import numpy as np

from pipeline.clock import SystemClock
from pipeline.errors import ConfigError, SourceError
from pipeline.items import Pixels
from sources.base import FrameGeometry
from sources.file import FileSource
from sources.geometry import to_square
from sources.labelled.examples import Example
from sources.labelled.protocol import Protocol
from sources.labelled.still import MAX_IMAGE_BYTES, decode_still

MAX_VIDEO_BYTES = 512 * 2**20
MAX_VIEWS_BYTES = 4 * 2**30


def views(example: Example, geometry: FrameGeometry, clip_frames: int, protocol: Protocol) -> Pixels:
    """What a model sees of an example, uint8 [V, T, S, S, 3], decoded on the calling thread.

    A video gives `protocol.views` views of `clip_frames` frames; an image gives one, its only picture
    repeated. Raises SourceError, naming the example, for what cannot be read to its end, and
    ConfigError where the views would take over 4 GiB.
    """
    size = geometry.input_size
    num_bytes = protocol.views * clip_frames * size * size * 3
    if num_bytes > MAX_VIEWS_BYTES:
        raise ConfigError(
            f"{protocol} views of {clip_frames} frames of {size} x {size} take {num_bytes} bytes, "
            f"over the limit of {MAX_VIEWS_BYTES}; take fewer clips or crops"
        )
    if example.kind == "image":
        square = decode_still(example.read(MAX_IMAGE_BYTES), example.name, geometry)
        return np.repeat(square[None, None], clip_frames, axis=1)
    return _video_views(_source(example, geometry), geometry, clip_frames, protocol)


def _source(example: Example, geometry: FrameGeometry) -> FileSource:
    path = example.path
    if path is not None and not path.is_file():
        raise SourceError(example.name, "no such file, or none that is regular")
    content = example.read(MAX_VIDEO_BYTES) if path is None else None
    return FileSource(path or Path(example.name), example.name, geometry, SystemClock(), content)


def _video_views(source: FileSource, geometry: FrameGeometry, clip_frames: int, protocol: Protocol) -> Pixels:
    """Decoded once where the packets tell how many pictures there are, once more where they do not."""
    told = source.count_packets()
    shown, decoded = _fill(source, geometry, clip_frames, protocol, told)
    if decoded != told:
        shown, again = _fill(source, geometry, clip_frames, protocol, decoded)
        if again != decoded:
            raise SourceError(source.name, f"gave {decoded} frames, then {again}; it must not change")
    return shown


def _fill(
    source: FileSource, geometry: FrameGeometry, clip_frames: int, protocol: Protocol, num_frames: int
) -> tuple[Pixels, int]:
    """Views of a video that should have `num_frames`, and how many it has; only the views are held."""
    size = geometry.input_size
    shown = np.zeros((protocol.clips, protocol.crops, clip_frames, size, size, 3), np.uint8)
    positions = protocol.positions(max(1, num_frames), clip_frames)
    wanted = set(positions.ravel().tolist())
    decoded = 0
    for index, picture in enumerate(source.pictures()):
        decoded = index + 1
        if index in wanted:
            for crop, along in enumerate(protocol.along):
                shown[:, crop][positions == index] = to_square(picture, geometry, along)
    return shown.reshape(protocol.views, *shown.shape[2:]), decoded
