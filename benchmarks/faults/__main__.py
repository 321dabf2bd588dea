"""Half an hour of faults: cameras, cloud, link and sink fail again and again under one device.

    python -m benchmarks.faults [--minutes 30] [--cameras 4] [--seed 0] [--output FILE]

Real processes: cameras, a cloud and a device, emulated to be slower, with a link and a webhook's far end in
this process. All faults are drawn from the seed before anything starts. Prints what was found beside what is
wanted; exit status 1 if something is not as wanted, 130 after Ctrl-C.
"""

import json
import logging
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.faults.checks import figures
from benchmarks.faults.evidence import Evidence
from benchmarks.faults.report import as_json, faults_table, figures_table
from benchmarks.faults.run import run
from benchmarks.faults.schedule import Fault, Wish, draw
from commands.runtime import INTERRUPTED, OK, SOME_FAILED, guarded
from pipeline.errors import JanusError

console = Console(width=130)


async def _run(wish: Wish, faults: Sequence[Fault], seed: int, folder: Path) -> Evidence | None:
    """The run with a progress bar; None where a signal has ended it."""
    evidence: Evidence | None = None
    columns = (TextColumn("faults"), BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
    ):
        bar = progress.add_task("faults", total=wish.total_s, told="starting")
        async with anyio.create_task_group() as tasks:

            async def end_on_signal() -> None:
                async for _ in signals:
                    tasks.cancel_scope.cancel()

            tasks.start_soon(end_on_signal)
            evidence = await run(
                wish,
                faults,
                seed,
                folder,
                lambda done_s, told: progress.update(bar, completed=done_s, told=told),
            )
            tasks.cancel_scope.cancel()
    return evidence


def _work(wish: Wish, seed: int, output: Path | None, keep: Path) -> int:
    faults = draw(wish, seed)
    try:
        evidence = anyio.run(_run, wish, faults, seed, keep)
    except BaseExceptionGroup as errors:
        raise _first(errors) or errors from None
    if evidence is None:
        return INTERRUPTED
    found = figures(evidence, faults)
    console.print(figures_table(found, f"{wish.minutes:g} minutes, {wish.cameras} cameras, seed {seed}"))
    console.print(faults_table(evidence))
    if output is not None:
        output.write_text(json.dumps(as_json(evidence, found), indent=1) + "\n")
    return OK if all(figure.good for figure in found) else SOME_FAILED


def _first(errors: BaseExceptionGroup[BaseException]) -> JanusError | None:
    """The error for the user among those of a task group."""
    for error in errors.exceptions:
        found = _first(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, JanusError):
            return found
    return None


def main(
    minutes: Annotated[float, typer.Option(min=1, help="how long")] = 30.0,
    cameras: Annotated[int, typer.Option(min=1, help="how many")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="of faults and films")] = 0,
    camera_faults: Annotated[int, typer.Option(min=0, help="of all cameras, every kind")] = 100,
    kills: Annotated[int, typer.Option(min=0, help="of the cloud, with SIGKILL")] = 50,
    cuts: Annotated[int, typer.Option(min=0, help="of the link")] = 50,
    stalls: Annotated[int, typer.Option(min=0, help="of the link, 1 to 20 s")] = 50,
    outages: Annotated[int, typer.Option(min=0, help="of the webhook's far end")] = 20,
    output: Annotated[Path | None, typer.Option(help="the figures as JSON")] = None,
    keep: Annotated[Path | None, typer.Option(help="keep results and logs in this new folder")] = None,
) -> None:
    wish = Wish(minutes, cameras, camera_faults, kills, cuts, stalls, outages)
    with tempfile.TemporaryDirectory(prefix="janus-faults-") as folder:
        if keep is not None:
            keep.mkdir(parents=True)
        sys.exit(guarded(lambda: _work(wish, seed, output, keep or Path(folder))))


if __name__ == "__main__":
    # A relay warns of each device that comes while there is no cloud: here that is as it should be.
    logging.getLogger("transport.emulation").setLevel(logging.ERROR)
    typer.run(main)
