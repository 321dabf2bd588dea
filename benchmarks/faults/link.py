"""The link of a run: steady, until it is cut or stalled."""

import math

import anyio
from anyio.abc import TaskGroup

from pipeline.clock import Clock, SystemClock
from transport.emulation import emulated_link

MBPS = 20.0
RTT_MS = 20.0
MS = 1000.0


class Gate:
    """The shape of a steady link through which, while it is shut, nothing passes either way.

    What would leave upwards waits; what has left downwards is on its way until the gate opens.
    """

    def __init__(self, clock: Clock, mbps: float = MBPS, rtt_ms: float = RTT_MS) -> None:
        self._clock = clock
        self._began_s = clock.now()
        self._mbps = mbps
        self._rtt_ms = rtt_ms
        self._opens_s = 0.0

    def shut(self, seconds: float) -> None:
        """Let nothing pass for `seconds`."""
        self._opens_s = self._clock.now() - self._began_s + seconds

    def mbps_at(self, t_s: float, /) -> float:
        return 0.0 if t_s < self._opens_s else self._mbps

    def rtt_ms_at(self, t_s: float, _default: float, /) -> float:
        """Half of it is one way's, so what is left of the stall counts twice."""
        return self._rtt_ms + 2 * MS * max(self._opens_s - t_s, 0.0)


class FaultyLink:
    """An emulated link to `to_port` of this machine, at a `port` that stays the same when it is cut."""

    def __init__(self, port: int, to_port: int) -> None:
        self.port = port
        self._to_port = to_port
        self._gate = Gate(SystemClock())
        self._leave = anyio.Event()
        self._closed = anyio.Event()

    async def open(self, tasks: TaskGroup) -> None:
        """Carry connections from now on."""
        self._leave, self._closed = anyio.Event(), anyio.Event()
        await tasks.start(self._carry)

    async def cut(self, seconds: float, tasks: TaskGroup) -> None:
        """Close all connections and refuse new ones for `seconds`."""
        self._leave.set()
        await self._closed.wait()
        await anyio.sleep(seconds)
        await self.open(tasks)

    async def stall(self, seconds: float) -> None:
        """Keep all connections, and let no byte pass for `seconds`."""
        self._gate.shut(seconds)
        await anyio.sleep(seconds)

    async def _carry(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        self._gate = Gate(SystemClock())
        here = "127.0.0.1"
        async with emulated_link(
            here, self.port, here, self._to_port, self._gate, rtt_ms=RTT_MS, down_mbps=math.inf
        ) as link:
            self.port = link.port
            task_status.started()
            await self._leave.wait()
        self._closed.set()
