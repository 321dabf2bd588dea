"""What the pipeline costs beside the model: two processes, one thread each, the model cut in the middle.

    python benchmarks/pipeline.py [--rounds 3] [--clips 40]

Each round measures, one after the other: what each side's half takes by itself while the other side
computes too; the clips a second that go through the whole pipeline; and what one clip at a time spends
outside of the model.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, thread_time
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anyio
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MODEL = "vit_base_patch16_224"
SPLIT = 6
CODEC = "float32"
TICK_S = 0.005
MS = 1000.0
LATENESS = ("late_ms", "held_ms", "used_ms")


class LoopWatch:
    """Notes by how much the event loop was late for a timer of five milliseconds, and why.

    A loop that is late has either waited for a processor, which somebody else had, or it was held: by
    its own callbacks, or by a thread that kept Python's lock.
    """

    def __init__(self) -> None:
        self._ticks: list[tuple[float, float, float]] = []

    async def run(self) -> None:
        with _schedstat() as scheduled:
            while True:
                due, waited_ms, used_s = monotonic() + TICK_S, _waited_ms(scheduled), thread_time()
                await anyio.sleep(TICK_S)
                late_ms = (monotonic() - due) * MS
                held_ms = max(0.0, late_ms - (_waited_ms(scheduled) - waited_ms))
                self._ticks.append((late_ms, held_ms, (thread_time() - used_s) * MS))

    def worst(self) -> dict[str, float]:
        """The worst after the first second, in which connections are made and buffers grow: lateness,
        lateness without waits for a processor, processor time used from one timer to the next."""
        late_ms, held_ms, used_ms = (
            max(column) for column in zip(*self._ticks[200:] or [(0.0, 0.0, 0.0)], strict=True)
        )
        return {"late_ms": late_ms, "held_ms": held_ms, "used_ms": used_ms}


def _schedstat() -> io.FileIO:
    """What Linux tells of the calling thread's time on processors."""
    return Path("/proc/thread-self/schedstat").open("rb", buffering=0)


def _waited_ms(scheduled: io.FileIO) -> float:
    """For how long the thread whose schedstat this is could have run and had no processor."""
    scheduled.seek(0)
    return int(scheduled.read().split()[1]) / 1e6


def device_settings(url: str | None) -> Any:
    from configs.settings import DeviceSettings, LinkSettings, ModelSettings, PlanSettings

    return DeviceSettings(
        model=ModelSettings(name=MODEL, weights="random"),
        plan=PlanSettings(split=SPLIT, codec=CODEC),
        link=LinkSettings(url=url),
    )


@app.command()
def serve() -> None:
    """The cloud's process: prints its address, and at SIGTERM how late its loop was."""
    from commands.cloud import open_reception
    from commands.plan import load_model
    from commands.runtime import run_async
    from configs.settings import CloudSettings, ModelSettings
    from pipeline.background import background
    from pipeline.clock import SystemClock
    from transport.serving import serve as listen

    settings = CloudSettings(model=ModelSettings(name=MODEL, weights="random"), max_batch=1)
    model = load_model(settings.model)

    async def main() -> int:
        watch = LoopWatch()
        async with (
            open_reception(settings, model, SystemClock()) as reception,
            listen("127.0.0.1", 0, reception.meet, max_message_bytes=settings.max_message_bytes) as address,
            background(watch.run),
        ):
            print(address.url, flush=True)
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    break
        print(json.dumps(watch.worst()), flush=True)
        return 0

    run_async(main)


@app.command()
def feed(url: str, clips: int, most_open: int) -> None:
    """The device's process: sends clips, prints what became of them."""
    from commands.device_pipeline import dial_for, run_device
    from commands.job import Job
    from commands.plan import set_up
    from commands.runtime import run_async
    from pipeline.background import background
    from pipeline.clock import SystemClock
    from pipeline.items import Frame, Prediction, SourceEnd, SourceStart
    from pipeline.signal import Signal

    setup = set_up(device_settings(url))
    size = setup.model.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    clock = SystemClock()
    records: list[tuple[float, Prediction]] = []

    answered = Signal()

    def note(record: Prediction) -> None:
        records.append((clock.now(), record))
        answered.notify()

    async def frames() -> AsyncGenerator[Any, None]:
        yield SourceStart("camera", 25.0)
        for index in range(clips):
            while index - len(records) >= most_open:
                await answered.wait()
            yield Frame("camera", index, index / 25, clock.now(), pixels)
        yield SourceEnd("camera")

    async def main() -> dict[str, float]:
        watch = LoopWatch()
        job = Job([frames()], [], live=False, on_record=note)
        async with background(watch.run):
            await run_device(setup, job, clock, dial_for(setup))
        return watch.worst()

    loop = run_async(main)
    warm = records[len(records) // 4 :]
    outside = [
        record.latency_ms["total"] - record.latency_ms["head"] - record.latency_ms["tail"]
        for _, record in warm
    ]
    result = {
        "clips_per_s": (len(warm) - 1) / (warm[-1][0] - warm[0][0]),
        "message_bytes": warm[0][1].sent_bytes,
        "parts_ms": {
            part: median(record.latency_ms[part] for _, record in warm) for part in warm[0][1].latency_ms
        },
        "overhead_ms": median(outside),
        "least_overhead_ms": quantiles(outside, n=10)[0],
        "loop": loop,
    }
    print(json.dumps(result), flush=True)


@app.command()
def own(side: str, clips: int) -> None:
    """One side's half by itself: waits for a line on stdin, then prints milliseconds a clip."""
    from commands.plan import set_up
    from pipeline.clock import SystemClock
    from pipeline.items import Clip, Features, Plan
    from scheduling.pruning import none
    from stages.compress import Compress
    from stages.head_infer import HeadInfer
    from stages.tail_service import TailService

    setup = set_up(device_settings(None))
    size, clock = setup.model.input_size, SystemClock()
    head, service = HeadInfer(setup.model, None, clock), TailService(setup.model)  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    clip = Clip("camera/000000", "camera", 0, 0.0, 0.0, clock.now(), pixels)
    plan = Plan(none(setup.model.num_layers, setup.model.num_tokens), SPLIT, CODEC)
    features = head.infer(clip, plan)
    assert isinstance(features, Features)
    decoded = service.decode(Compress(None, clock).encode(features))  # type: ignore[arg-type]
    half = {"device": lambda: head.infer(clip, plan), "cloud": lambda: service.run([decoded])}[side]
    for _ in range(3):
        half()
    print("ready", flush=True)
    sys.stdin.readline()
    taken = []
    for _ in range(clips):
        started = monotonic()
        half()
        taken.append((monotonic() - started) * MS)
    print(json.dumps(median(taken)), flush=True)


@app.command()
def compare(
    rounds: Annotated[int, typer.Option(help="How often everything is measured.")] = 3,
    clips: Annotated[int, typer.Option(help="Clips a measurement.")] = 40,
    output: Annotated[Path | None, typer.Option(help="Also write the figures as JSON here.")] = None,
) -> None:
    """Measure everything in turn and print the medians."""
    measured = [_round(clips) for _ in range(rounds)]
    figures = {key: median(each[key] for each in measured) for key in measured[0]}
    for late in (f"{side}_{how}" for side in ("device", "cloud") for how in LATENESS):
        figures[late] = max(each[late] for each in measured)
    _show(figures, rounds)
    if output:
        output.write_text(json.dumps(figures, indent=2) + "\n")


def _round(clips: int) -> dict[str, float]:
    own_ms = _own_times(clips)
    with _cloud() as (url, cloud):
        flood = _feed(url, clips, clips)
        single = _feed(url, clips // 2, 1)
    slower_ms = max(own_ms.values())
    return {
        "device_own_ms": own_ms["device"],
        "cloud_own_ms": own_ms["cloud"],
        "clips_per_s": flood["clips_per_s"],
        "share_of_slower_side": flood["clips_per_s"] * slower_ms / MS,
        "head_ms": flood["parts_ms"]["head"],
        "tail_ms": flood["parts_ms"]["tail"],
        "beside_ms": MS / flood["clips_per_s"] - max(flood["parts_ms"]["head"], flood["parts_ms"]["tail"]),
        "message_bytes": flood["message_bytes"],
        "overhead_ms": single["overhead_ms"],
        "least_overhead_ms": single["least_overhead_ms"],
        **{f"device_{how}": max(flood["loop"][how], single["loop"][how]) for how in LATENESS},
        **{f"cloud_{how}": cloud[how] for how in LATENESS},
    }


def _own_times(clips: int) -> dict[str, float]:
    """Both halves at the same time, so that each has the memory bandwidth that it has in the pipeline."""
    processes = {side: _start("own", side, str(clips)) for side in ("device", "cloud")}
    for process in processes.values():
        assert process.stdout and process.stdout.readline() == "ready\n"
    return {side: float(process.communicate("\n")[0]) for side, process in processes.items()}


@contextmanager
def _cloud() -> Iterator[tuple[str, dict[str, float]]]:
    """The cloud's address, and, once the block is left, how late its loop was and why."""
    process = _start("serve")
    assert process.stdout
    found = re.search(r"ws://\S+", process.stdout.readline())
    assert found
    loop: dict[str, float] = {}
    try:
        yield found[0], loop
    finally:
        process.terminate()
        loop.update(json.loads(process.communicate()[0]))


def _feed(url: str, clips: int, most_open: int) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(_start("feed", url, str(clips), str(most_open)).communicate()[0])
    return result


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _show(figures: dict[str, float], rounds: int) -> None:
    table = Table("figure", "median", "wanted", title=f"{MODEL}, split {SPLIT}, {CODEC}, {rounds} rounds")
    table.add_row("device's half by itself", f"{figures['device_own_ms']:.1f} ms", "")
    table.add_row("cloud's half by itself", f"{figures['cloud_own_ms']:.1f} ms", "")
    table.add_row(
        "in the pipeline: head, tail", f"{figures['head_ms']:.1f} ms, {figures['tail_ms']:.1f} ms", ""
    )
    table.add_row("clips a second", f"{figures['clips_per_s']:.2f}", "")
    table.add_row(
        "of what the slower side alone could do", f"{figures['share_of_slower_side']:.3f}", ">= 0.93"
    )
    table.add_row("message", f"{figures['message_bytes'] / 1000:.0f} KB", "")
    table.add_row("a clip beside the slower half, pipeline full", f"{figures['beside_ms']:.2f} ms", "< 3 ms")
    table.add_row("a clip outside of the model, one at a time", f"{figures['overhead_ms']:.2f} ms", "< 3 ms")
    table.add_row("the same, which nine clips in ten exceed", f"{figures['least_overhead_ms']:.2f} ms", "")
    for how, name, wanted in (
        ("late_ms", "event loops late at worst: device, cloud", ""),
        ("held_ms", "of that not for want of a processor", "<= 10 ms"),
        ("used_ms", "processor time of a loop between two timers", "<= 10 ms"),
    ):
        table.add_row(name, f"{figures[f'device_{how}']:.1f} ms, {figures[f'cloud_{how}']:.1f} ms", wanted)
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("--"):
        sys.argv.insert(1, "compare")
    app()
