"""A device and a cloud in one process, over memory links that a test can cut, or over a port."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
from anyio.abc import TaskGroup
from anyio.from_thread import start_blocking_portal

from commands.cloud import Reception, open_reception
from commands.device_pipeline import run_device
from commands.job import Job
from commands.plan import Setup
from configs.settings import CloudSettings, DeviceSettings, LinkSettings, PlanSettings
from models import SplitViT
from pipeline.clock import SystemClock
from pipeline.errors import LinkError
from pipeline.items import Prediction
from scheduling.profile import Profile
from sources.pattern import PatternSource
from stages.capture import capture
from tests.commands.machines import profile_for
from transport.connection import Connection
from transport.memory import MemoryConnection, memory_link
from transport.serving import serve


class ListSink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Prediction] = []

    def open(self) -> None: ...

    def write(self, prediction: Prediction) -> None:
        self.records.append(prediction)

    def close(self) -> None: ...


class Wire:
    """Dials `reception` over memory links; `cut()` loses the present one."""

    def __init__(self, reception: Reception, tasks: TaskGroup, max_message_bytes: int | None = None) -> None:
        self.dialled = 0
        self._reception = reception
        self._tasks = tasks
        self._max_message_bytes = max_message_bytes
        self._end: MemoryConnection | None = None

    async def dial(self) -> Connection:
        self.dialled += 1
        self._end, far_end = memory_link(max_message_bytes=self._max_message_bytes)
        self._tasks.start_soon(self._meet, far_end)
        return self._end

    async def _meet(self, connection: Connection) -> None:
        with suppress(LinkError):
            await self._reception.meet(connection)

    def cut(self) -> None:
        if self._end is not None:
            self._end.cut()


@asynccontextmanager
async def wire_to_cloud(
    model: SplitViT,
    profile: Profile | None = None,
    *,
    claimed: dict[str, object] | None = None,
    **settings: object,
) -> AsyncIterator[Wire]:
    """A cloud that sends its `profile`, or claims that it is `claimed`."""
    async with (
        open_reception(CloudSettings(**settings), model, SystemClock(), profile) as reception,
        anyio.create_task_group() as tasks,
    ):
        if claimed is not None:
            reception._welcome = reception._welcome.model_copy(update={"profile": claimed})
        yield Wire(reception, tasks)
        tasks.cancel_scope.cancel()


@contextmanager
def cloud_here(model: SplitViT, **settings: object) -> Iterator[str]:
    """The URL of a cloud in a thread of this process."""
    cloud = CloudSettings(**settings)

    @asynccontextmanager
    async def served() -> AsyncIterator[str]:
        async with (
            open_reception(cloud, model, SystemClock(), profile_for(model)) as reception,
            serve("127.0.0.1", 0, reception.meet, max_message_bytes=cloud.max_message_bytes) as address,
        ):
            yield address.url

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served()) as url:
        yield url


def setup_for(
    model: SplitViT,
    sla_ms: float | None = None,
    in_flight: int | None = None,
    patience_s: float = 5.0,
    **plan: object,
) -> Setup:
    """A device with a fixed plan where `plan` names one, else with a policy and a profile of 1 ms a layer."""
    settings = DeviceSettings(
        plan=PlanSettings(**plan),
        link=LinkSettings(patience_s=patience_s, connect_s=1),
        sla_ms=sla_ms,
        in_flight=in_flight,
    )
    return Setup(settings, model, None if settings.plan.fixed else profile_for(model))


def pattern(model: SplitViT, clips: int, name: str = "pattern", seed: int = 3) -> PatternSource:
    return PatternSource(
        name,
        seed=seed,
        size=model.input_size,
        fps=None,
        clips=clips,
        clip_frames=model.clip_frames,
        clock=SystemClock(),
    )


async def run_clips(setup: Setup, wire: Wire | None, clips: int, **job: object):
    """Replay `clips` of two patterns; returns the ledger and the records."""
    sink = ListSink()
    model = setup.model
    inlets = [capture(pattern(model, clips, name), 16) for name in ("a", "b")]
    options = {"inlets": inlets, "sinks": [sink], "live": False} | job
    ledger = await run_device(setup, Job(**options), SystemClock(), wire.dial if wire else None)
    return ledger, sink.records
