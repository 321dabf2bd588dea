"""Does a replay's memory stay flat over a long video?

    python benchmarks/memory.py [--minutes 60] [--split 13]

Makes a video of that length, replays it with a real process (and a cloud, if the split needs one), and
compares the resident memory of the last third of the run with that of the second.
"""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.kills import Cloud, lines, start
from benchmarks.resident import memory_mb
from pipeline.items import Pixels
from sources.motions import motion_sequence
from sources.writer import write_video

FPS = 25
SIZE = 128
DIFFERENT_CLIPS = 64
ON_DEVICE = 13
MEGABYTE = 1e6


def pictures(minutes: float) -> Iterator[Pixels]:
    """Motions, again and again."""
    clips = [motion_sequence(0, index, size=SIZE)[1] for index in range(DIFFERENT_CLIPS)]
    frames = itertools.chain.from_iterable(itertools.cycle(clips))
    return itertools.islice(frames, round(minutes * 60 * FPS))


def watch(process: "subprocess.Popen[str]") -> list[float]:
    """Resident memory four times a second, for as long as the process runs."""
    samples = []
    while process.poll() is None and (now := memory_mb(process.pid)) is not None:
        samples.append(now)
        time.sleep(0.25)
    return samples


def main(
    minutes: Annotated[float, typer.Option(help="Length of the video.")] = 60,
    split: Annotated[int, typer.Option(help="Where the model is cut.")] = ON_DEVICE,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        video, output = Path(folder) / "long.mp4", Path(folder) / "out.jsonl"
        write_video(video, pictures(minutes), FPS)
        arguments = ["replay", str(video), "--output", str(output), "--split", str(split)]
        cloud = None if split == ON_DEVICE else Cloud()
        if cloud is not None:
            arguments += ["--cloud", cloud.url]
        process = start(*arguments)
        samples = watch(process)
        process.wait()
        if cloud is not None:
            cloud.kill()
        third = len(samples) // 3
        second, last = median(samples[third : 2 * third]), median(samples[2 * third :])
        table = Table("figure", "value", title=f"{minutes:g} minutes of video, split {split}")
        table.add_row("video", f"{video.stat().st_size / MEGABYTE:.1f} MB")
        table.add_row("exit status", str(process.returncode))
        table.add_row("records", str(lines(output)))
        table.add_row("run", f"{len(samples) / 4:.0f} s")
        table.add_row("resident memory, second third", f"{second:.1f} MB")
        table.add_row("resident memory, last third", f"{last:.1f} MB")
        table.add_row("ratio", f"{last / second:.3f}")
        Console().print(table)


if __name__ == "__main__":
    typer.run(main)
