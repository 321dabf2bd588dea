"""How many bytes codecs make of real pictures, clips and tokens, and how long they take.

    python benchmarks/sizes.py IMAGES VIDEOS... --weights FILE

Pictures have their short side resized to 384 and the centre cropped; clips are 16 frames at 224, every
fourth of the video's. Tokens are those of the real ViT-Ti/16 after several of its 12 layers. Bytes are
means; times are medians of what one core works, which busy neighbours lengthen less than the time passed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from time import process_time
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from models import configure_threads, create_model
from pipeline.clock import SystemClock
from pipeline.items import Pixels
from scheduling.pruning import none
from sources.base import FrameGeometry
from sources.clips import ClipAssembler, ClipSettings
from sources.file import FileSource
from sources.folder import find_videos
from transport.codecs import get_codec, lzw

IMAGE_SIZE, CLIP_SIZE, CLIP_FRAMES = 384, 224, 16
MEAN = STD = 0.5
PAPER = "raw32+lzw"
PIXELS = (PAPER, "raw+lzw", "png", "jpeg:95", "jpeg:90", "jpeg:80", "jpeg:60", "h264:18", "h264:23")
TOKENS = ("float32+lzw", "float32+zstd", "float16+zstd", "int8+zstd", "int4+zstd")
SPLITS = (1, 2, 3, 6, 9, 12)
LINE_BYTES = {"int8+zstd": 8, "int4+zstd": 8}  # each token's own line, whatever its width
PICTURES = (".jpeg", ".jpg", ".png")
MODEL = "vit_tiny_patch16_224"

Array = NDArray[Any]
console = Console(width=110)


@dataclass
class Taken:
    """What one codec made of every array: bytes, and ms to encode and to decode."""

    num_bytes: list[int] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)
    decode_ms: list[float] = field(default_factory=list)

    def add(self, array: Array, codec: str) -> None:
        """Encode and decode `array` once."""
        encode, decode = _coder(codec, array)
        start = process_time()
        payload = encode()
        middle = process_time()
        decode(payload)
        self.decode_ms.append((process_time() - middle) * 1e3)
        self.encode_ms.append((middle - start) * 1e3)
        self.num_bytes.append(len(payload))


def _coder(codec: str, array: Array) -> tuple[Callable[[], bytes], Callable[[bytes], object]]:
    if codec != PAPER:
        return lambda: get_codec(codec).encode(array), lambda data: get_codec(codec).decode(data, array.shape)
    planes = (array.astype(np.float32) / 255 - MEAN) / STD
    plain = np.ascontiguousarray(planes.transpose(0, 3, 1, 2)).tobytes()
    return lambda: lzw.pack(plain), lambda data: lzw.unpack(data, len(plain))


def pictures(folder: Path, most: int) -> Iterator[Pixels]:
    """`most` evenly chosen pictures of a folder, uint8 [1, 384, 384, 3]."""
    for path in evenly(sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES), most):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        scale = IMAGE_SIZE / min(picture.size)
        width, height = (max(IMAGE_SIZE, round(side * scale)) for side in picture.size)
        left, top = (width - IMAGE_SIZE) // 2, (height - IMAGE_SIZE) // 2
        resized = picture.resize((width, height), Image.Resampling.BICUBIC)
        yield np.asarray(resized.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE)))[None]


def clips(paths: Sequence[Path], stride: int, most: int) -> Iterator[Pixels]:
    """At most `most` evenly chosen clips of each video, every `stride`-th frame: uint8 [16, 224, 224, 3]."""
    for video in find_videos(paths):
        source = FileSource(video.path, video.name, FrameGeometry(CLIP_SIZE), SystemClock())
        assembler = ClipAssembler(video.name, ClipSettings(CLIP_FRAMES, stride))
        whole = [clip.frames for frame in source.frames() for clip in assembler.add(frame)]
        yield from evenly(whole, most)


def evenly(found: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of `found`, evenly spread, the first included."""
    return [found[len(found) * index // min(most, len(found))] for index in range(min(most, len(found)))]


def measured(arrays: Iterator[Array], codecs: Sequence[str]) -> dict[str, Taken]:
    """Every codec over every array, the codecs taking turns."""
    taken = {codec: Taken() for codec in codecs}
    for array in arrays:
        for codec, found in taken.items():
            found.add(array, codec)
    return taken


def pixel_table(title: str, taken: dict[str, Taken]) -> Table:
    """Bytes and times a clip."""
    count = len(next(iter(taken.values())).num_bytes)
    table = Table("codec", "mean bytes", "least", "most", "encode ms", "decode ms", title=f"{count} {title}")
    for codec, found in taken.items():
        sizes = found.num_bytes
        row = (fmean(sizes), min(sizes), max(sizes))
        times = (median(found.encode_ms), median(found.decode_ms))
        table.add_row(codec, *(f"{value:.0f}" for value in row), *(f"{ms:.2f}" for ms in times))
    return table


def token_table(folder: Path, weights: Path, most: int) -> Table:
    """Bytes a token value at several splits, without the line that each quantised token carries."""
    model = create_model(MODEL, weights=str(weights))
    pruning = none(model.num_layers, model.num_tokens)
    rows: dict[str, dict[int, Taken]] = {codec: {split: Taken() for split in SPLITS} for codec in TOKENS}
    for picture in pictures(folder, most):
        tokens, done = model.embed(model.preprocess(picture[None])), 0
        for split in SPLITS:
            tokens, done = model.run_layers(tokens, done, split, pruning), split
            for codec, by_split in rows.items():
                by_split[split].add(tokens.x[0].numpy(), codec)
    columns = [f"split {split}" for split in SPLITS]
    table = Table(
        "codec", *columns, "mean", "encode ns", "decode ns", title=f"bytes a value, {most} pictures"
    )
    for codec, by_split in rows.items():
        _add_tokens(table, codec, list(by_split.values()), model.num_tokens, model.dim)
    return table


def _add_tokens(table: Table, codec: str, taken: list[Taken], num_tokens: int, dim: int) -> None:
    values, lines = num_tokens * dim, LINE_BYTES.get(codec, 0) * num_tokens
    sizes = [(fmean(found.num_bytes) - lines) / values for found in taken]
    encode, decode = (
        median([ms for found in taken for ms in times(found)]) * 1e6 / values
        for times in (lambda found: found.encode_ms, lambda found: found.decode_ms)
    )
    cells = [*sizes, fmean(sizes)]
    table.add_row(codec, *(f"{cell:.3f}" for cell in cells), f"{encode:.2f}", f"{decode:.2f}")


def main(
    images: Annotated[Path, typer.Argument(help="A folder of pictures.")],
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of them.")],
    weights: Annotated[Path, typer.Option("--weights", help="Weights of the ViT-Ti/16.")],
    most_images: Annotated[int, typer.Option("--images", min=1)] = 200,
    most_clips: Annotated[int, typer.Option("--clips-per-video", min=1)] = 8,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Take every n-th frame.")] = 4,
) -> None:
    """Print the sizes and times that a setup of the simulation states."""
    configure_threads(1)
    stills = [codec for codec in PIXELS if not codec.startswith("h264")]
    taken = measured(pictures(images, most_images), stills)
    console.print(pixel_table(f"pictures of {IMAGE_SIZE} px", taken))
    taken = measured(clips(videos, stride, most_clips), PIXELS)
    console.print(pixel_table(f"clips of {CLIP_FRAMES} frames of {CLIP_SIZE} px", taken))
    console.print(token_table(images, weights, most_images // 4 or 1))


if __name__ == "__main__":
    typer.run(main)
