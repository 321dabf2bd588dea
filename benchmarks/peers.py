"""Peers behind emulated links: what they answer, how fast, and what is left as they come and go.

    python -m benchmarks.peers --run DIR --data cifar10-test.zip [--clips 200] [--mbps 16]
    python -m benchmarks.peers --run DIR --data cifar10-test.zip --clips 1000 --faults [--sla-ms 500]

`--run` is a folder of `main.py devit fit`. Real processes, real pictures, clips of one frame. Without
`--faults` the pictures are replayed one by one; with them they are played at --fps while peers are killed,
become slow, stand still and come back. Exit status 1 where an answer is another than the ensemble's in one
process, where a clip lacks its one record, where one is late, or where the fusion takes 2 % of a clip's
latency or more, one by one.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.boxes import Box, start
from benchmarks.in_one import InOne, write_pictures
from devit.ensemble import every_choice
from pipeline.energy.total import EnergyTotal

SAME = 1e-4
SLOW_MBPS = 0.1
MOST_FUSION = 0.02
console = Console(width=120)
Record = dict[str, Any]


@contextmanager
def boxes(run_folder: Path, mbps: float, rtt_ms: float) -> Iterator[list[Box]]:
    """A box for each part of the run, all of them up."""
    with ExitStack() as stack:
        paths = sorted(run_folder.glob("part-*.safetensors"))
        found = [stack.enter_context(Box(path, mbps, rtt_ms)) for path in paths]
        for box in found:
            box.start()
        for box in found:
            box.wait()
        yield found


def read(output: Path) -> list[Record]:
    """The records in their order."""
    return [json.loads(line) for line in output.read_text().splitlines()]


def used(record: Record) -> tuple[int, ...]:
    """The parts that contributed, from 0."""
    return tuple(part["part"] - 1 for part in record.get("parts", ()) if part["missing"] is None)


def worst_difference(records: list[Record], here: InOne) -> tuple[int, float]:
    """How many answers are of another class than the ensemble's, and by how much confidences differ."""
    others, worst = 0, 0.0
    for index, record in enumerate(records):
        wanted = here.confidences(used(record))[index]
        others += record["predictions"][0]["class_id"] != int(wanted.argmax())
        for score in record["predictions"]:
            worst = max(worst, abs(score["confidence"] - round(float(wanted[score["class_id"]]), 4)))
    return others, worst


def quantiles(values: Sequence[float]) -> list[str]:
    return [f"{np.quantile(values, q):.1f}" for q in (0.5, 0.95, 1.0)] if len(values) else ["-"] * 3


def joules(records: list[Record]) -> str:
    """What this machine, on which all boxes run, took for them; or that it does not show it."""
    return EnergyTotal.of(record.get("energy_j") for record in records).told() or "not shown by this machine"


def show_latency(records: list[Record], times_ms: dict[str, float]) -> None:
    """Where the time of a clip went, beside the models by themselves on one core."""
    table = Table("part of the latency, ms", "median", "95 %", "largest")
    for name in ("encode", "gather", "fuse", "total"):
        table.add_row(name, *quantiles([record["latency_ms"][name] for record in records]))
    for name in ("uplink", "queue", "decode", "tail"):
        slowest = [max(part["latency_ms"][name] for part in record["parts"]) for record in records]
        table.add_row(f"  of which {name}, slowest peer", *quantiles(slowest))
    console.print(table)
    alone = ", ".join(f"{name} {ms:.2f}" for name, ms in times_ms.items())
    console.print(f"by themselves on one core, ms: {alone}")
    console.print(f"fusion, of a clip's latency: {100 * fusion_share(records):.2f} % in the median")


def fusion_share(records: list[Record]) -> float:
    """The median share of a clip's latency that the fusion itself took."""
    return float(
        np.median([record["latency_ms"]["fuse"] / record["latency_ms"]["total"] for record in records])
    )


def show_accuracy(here: InOne, labels: list[str]) -> None:
    """Top-1 of the ensemble in this process, by how many parts are there."""
    names = here.saved.info.labels
    table = Table("parts", "choices", "top-1 mean", "worst", "best")
    right: dict[int, list[float]] = {}
    for parts in every_choice(len(here.parts)):
        best = here.confidences(parts).argmax(1).tolist()
        share = float(np.mean([names[each] == label for each, label in zip(best, labels, strict=True)]))
        right.setdefault(len(parts), []).append(share)
    for count, shares in sorted(right.items(), reverse=True):
        row = (f"{100 * share:.1f}" for share in (np.mean(shares), min(shares), max(shares)))
        table.add_row(f"{count} of {len(here.parts)}", str(len(shares)), *row)
    console.print(table)


def replay(urls: str, run_folder: Path, video: Path, output: Path) -> list[Record]:
    """One clip after the other, without a promise."""
    fusion = run_folder / "fusion.safetensors"
    arguments = ("replay", video, "-o", output, "--strict", "--in-flight", 1, "--patience", 120)
    start(*arguments, "--peers", urls, "--fusion", fusion, errors=None).communicate()
    return read(output)


def faults(clips: int, found: list[Box]) -> list[tuple[float, str, Callable[[], None]]]:
    """What happens after which share of the clips."""
    *_, second, last = found

    def both_back() -> None:
        for box in (second, last):
            box.start()

    return [
        (0.10 * clips, "one killed", last.kill),
        (0.25 * clips, "two killed", second.kill),
        (0.40 * clips, "both started again", both_back),
        (0.55 * clips, f"one behind a link of {SLOW_MBPS} Mbit/s", lambda: found[0].slow_down(SLOW_MBPS)),
        (0.70 * clips, "its link is as before", found[0].slow_down),
        (0.80 * clips, "one stands still", found[0].stall),
        (0.90 * clips, "it goes on", found[0].go_on),
    ]


def play(
    urls: str, run_folder: Path, video: Path, output: Path, sla_ms: float, events: list[Any]
) -> tuple[list[Record], list[tuple[int, str]], int]:
    """The pictures at their rate, while `events` happen; also when they did, and the exit status."""
    fusion = run_folder / "fusion.safetensors"
    arguments = ("device", "--source", f"yard={video}", "-o", output, "--strict", "--sla-ms", sla_ms)
    process = start(*arguments, "--peers", urls, "--fusion", fusion, errors=None)
    assert process.stdout is not None
    told, lines = [], 0
    for lines, _ in enumerate(process.stdout, 1):
        while events and lines >= events[0][0]:
            _, what, act = events.pop(0)
            act()
            told.append((lines, what))
    return read(output), told, process.wait()


def show_faults(records: list[Record], told: list[tuple[int, str]], labels: list[str]) -> None:
    """What became of the clips, event by event, and by how many parts they had."""
    table = Table(
        "from clip", "since", "clips", "outcomes", "parts used", "latency ms, median", "95 %", "largest"
    )
    for (first, what), (end, _) in zip(
        [(0, "all are there"), *told], [*told, (len(records), "")], strict=True
    ):
        span = records[first:end]
        outcomes = ", ".join(f"{n} {status}" for status, n in Counter(r["status"] for r in span).items())
        sizes = ", ".join(f"{n} x {size}" for size, n in sorted(Counter(len(used(r)) for r in span).items()))
        totals = [record["latency_ms"]["total"] for record in span if record["status"] == "ok"]
        table.add_row(str(first), what, str(len(span)), outcomes, sizes, *quantiles(totals))
    console.print(table)
    by_size = Table("parts used", "clips", "top-1")
    for size in sorted({len(used(record)) for record in records}, reverse=True):
        hits = [
            record["predictions"][0]["class"] == labels[record["seq"]]
            for record in records
            if record["predictions"] and len(used(record)) == size
        ]
        by_size.add_row(str(size), str(len(hits)), f"{100 * float(np.mean(hits)):.1f}" if hits else "-")
    console.print(by_size)


def main(
    run_folder: Annotated[Path, typer.Option("--run", help="A folder of main.py devit fit.")],
    data: Annotated[Path, typer.Option(help="Labelled pictures: a folder, a CSV, a zip.")],
    clips: Annotated[int, typer.Option(min=20)] = 200,
    mbps: Annotated[float, typer.Option(help="Of each link, both ways; 16 is the paper's 2 MB/s.")] = 16.0,
    rtt_ms: Annotated[float, typer.Option(help="Round trip of each link.")] = 5.0,
    with_faults: Annotated[bool, typer.Option("--faults", help="Kill peers, and let them return.")] = False,
    sla_ms: Annotated[float, typer.Option(help="The promise, with --faults.")] = 500.0,
    fps: Annotated[float, typer.Option(help="Clips a second, with --faults.")] = 10.0,
    keep: Annotated[Path | None, typer.Option(help="Keep the records here.")] = None,
) -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        video, output = Path(folder, "pictures.mkv"), keep or Path(folder, "records.jsonl")
        if output.exists():
            raise typer.BadParameter(f"{output} exists already")
        labels = write_pictures(video, data, clips, fps)
        here = InOne(run_folder, video)
        times_ms = here.times_ms()
        show_accuracy(here, labels)
        with boxes(run_folder, mbps, rtt_ms) as found:
            urls = ",".join(box.url for box in found)
            if with_faults:
                events = faults(clips, found)
                records, told, status = play(urls, run_folder, video, output, sla_ms, events)
                show_faults(records, told, labels)
            else:
                records, status = replay(urls, run_folder, video, output), 0
                show_latency(records, times_ms)
                status = int(fusion_share(records) >= MOST_FUSION)
        answered = [record for record in records if record["predictions"]]
        others, worst = worst_difference(answered, here) if len(answered) == clips else (0, 0.0)
        for record in records:
            if record["status"] in ("late", "failed"):
                console.print(f"{record['clip_id']}: {record['status']}, {record['latency_ms']}")
        outcomes = Counter(record["status"] for record in records)
        console.print(f"{len(records)} records of {clips} clips: {dict(outcomes)}; exit status {status}")
        console.print(f"energy, of all boxes on this machine: {joules(records)}")
        if len(answered) == clips:
            console.print(f"other classes than the ensemble's: {others}; confidences differ by {worst:.6f}")
        good = [record["seq"] for record in records] == list(range(clips))
        sys.exit(status or not (good and others == 0 and worst <= SAME + 1e-9 and not outcomes["late"]))


if __name__ == "__main__":
    typer.run(main)
