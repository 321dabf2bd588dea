"""Kill a replay, and its cloud, at random moments, and look whether any clip was lost or doubled.

    python benchmarks/kills.py VIDEOS... [--kills 10] [--seed 0]

First an unbroken run, then one that is killed (-9) and resumed `kills` times, then one whose cloud is
killed and restarted as often. Exit status 1 unless all three hold the same clips, each once.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

MAIN = Path(__file__).resolve().parents[1] / "main.py"
POLL_S = 0.001
console = Console()


class Cloud:
    """A cloud process that comes back at the same port."""

    def __init__(self) -> None:
        self.port = "0"
        self.start()

    def start(self) -> None:
        self._process = start("cloud", "--port", self.port)
        assert self._process.stdout
        found = re.search(r"ws://[^:]+:(\d+)", self._process.stdout.readline())
        assert found, "the cloud did not start"
        self.port = found[1]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(MAIN), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def replay(videos: list[Path], cloud: Cloud, output: Path) -> "subprocess.Popen[str]":
    names = [str(video) for video in videos]
    return start("replay", *names, "--cloud", cloud.url, "--split", "4", "--output", str(output), "--resume")


def outcomes(output: Path) -> Counter[tuple[str, str]]:
    """How often each clip ended in which way."""
    records = [json.loads(line) for line in output.read_text().splitlines()]
    return Counter((record["clip_id"], record["status"]) for record in records)


def wait_for_lines(output: Path, process: "subprocess.Popen[str]", more: int) -> None:
    """Until `more` lines than now are there, or the process has ended."""
    before = lines(output)
    while lines(output) < before + more and process.poll() is None:
        time.sleep(POLL_S)


def lines(output: Path) -> int:
    return output.read_bytes().count(b"\n") if output.exists() else 0


def kill_replays(
    videos: list[Path], cloud: Cloud, output: Path, kills: int, rng: random.Random, total: int
) -> int:
    """Kill and resume; returns how many kills hit a running replay."""
    hit = 0
    for _ in range(kills):
        process = replay(videos, cloud, output)
        wait_for_lines(output, process, rng.randint(0, max(1, total // (kills + 1))))
        time.sleep(rng.random() * 0.05)
        hit += process.poll() is None
        process.kill()
        process.communicate()
    replay(videos, cloud, output).communicate()
    return hit


def kill_clouds(
    videos: list[Path], cloud: Cloud, output: Path, kills: int, rng: random.Random, total: int
) -> int:
    """Kill and restart the cloud under one replay; returns how many kills came while it ran."""
    hit = 0
    process = replay(videos, cloud, output)
    for _ in range(kills):
        wait_for_lines(output, process, rng.randint(1, max(1, total // (kills + 1))))
        if process.poll() is not None:
            break
        hit += 1
        cloud.kill()
        cloud.start()
    process.communicate()
    return hit


def main(
    videos: Annotated[list[Path], typer.Argument(help="Videos and folders of them.")],
    kills: Annotated[int, typer.Option(help="Kills of each kind.")] = 10,
    seed: Annotated[int, typer.Option(help="Which random moments.")] = 0,
) -> None:
    rng = random.Random(seed)
    cloud = Cloud()
    table = Table("run", "kills", "records", "lost", "doubled", "other status")
    with tempfile.TemporaryDirectory() as folder:
        unbroken = Path(folder) / "unbroken.jsonl"
        replay(videos, cloud, unbroken).communicate()
        wanted = outcomes(unbroken)
        table.add_row("unbroken", "0", str(wanted.total()), "", "", "")
        good = True
        for name, run in (("replay killed", kill_replays), ("cloud killed", kill_clouds)):
            output = Path(folder) / f"{name}.jsonl"
            hit = run(videos, cloud, output, kills, rng, wanted.total())
            found = outcomes(output)
            ids = {clip_id for clip_id, _ in wanted}
            found_ids = Counter(clip_id for clip_id, _ in found.elements())
            lost, doubled = len(ids - set(found_ids)), sum(count > 1 for count in found_ids.values())
            other = len(set(found) - set(wanted))
            table.add_row(name, str(hit), str(found.total()), str(lost), str(doubled), str(other))
            good &= found == wanted
    cloud.kill()
    console.print(table)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    typer.run(main)
