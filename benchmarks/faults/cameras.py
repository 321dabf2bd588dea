"""The cameras of a run, in a process of their own, which takes faults on its standard input.

    python -m benchmarks.faults.cameras PORT VIDEO [PORT VIDEO]...

The first line out says that they play. A line in is {"camera": 0, "kind": "freeze", "for_s": 5}; when that
fault is over it comes out again with "began" and "over", in Unix seconds. The end of the input ends the
process. Who may watch stands in the environment.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from benchmarks.faults.schedule import PASSWORD
from sources.camera import Camera, CameraSettings, open_camera

USER, SECRET = "JANUS_FAULTS_USER", "JANUS_FAULTS_PASSWORD"
LATE_S = 3.0
HOST_READY_S = 30.0


class Host:
    """One camera, which may be closed and opened again at its port."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._camera: Camera | None = None
        self._leave, self._left = anyio.Event(), anyio.Event()

    @property
    def camera(self) -> Camera:
        assert self._camera is not None
        return self._camera

    async def open(self, tasks: TaskGroup, settings: CameraSettings | None = None) -> None:
        """Play from now on, at the same port as before."""
        self._leave, self._left = anyio.Event(), anyio.Event()
        with anyio.fail_after(HOST_READY_S):
            await tasks.start(self._play, settings or self._settings)
        self._settings = replace(self._settings, port=self.camera.port)

    async def close(self) -> None:
        """Play no longer: as when the process of a camera is gone."""
        self._leave.set()
        await self._left.wait()

    async def suffer(self, kind: str, for_s: float, tasks: TaskGroup) -> None:
        """Let the fault happen; returns when it is over."""
        match kind:
            case "freeze":
                self.camera.freeze(for_s)
            case "fin":
                self.camera.fin()
            case "rst":
                self.camera.rst()
            case "refuse":
                self.camera.refuse(for_s)
                self.camera.fin()
            case "down":
                self.camera.down(for_s)
            case "late-describe":
                self.camera.late_describe(LATE_S)
                self.camera.rst()
            case "gone":
                await self.close()
            case _ if kind == PASSWORD:
                await self.close()
                await self.open(tasks, replace(self._settings, password="changed"))
            case _:
                raise ValueError(f"no such fault: {kind}")
        await anyio.sleep(for_s)
        await self._end(kind, tasks)

    async def _end(self, kind: str, tasks: TaskGroup) -> None:
        if kind == "late-describe":
            self.camera.late_describe(0.0)
        if kind == PASSWORD:
            await self.close()
        if kind in (PASSWORD, "gone"):
            await self.open(tasks)

    async def _play(
        self,
        settings: CameraSettings,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            async with open_camera(settings) as self._camera:
                task_status.started()
                await self._leave.wait()
        finally:
            self._camera = None
            self._left.set()


async def _suffer(host: Host, order: dict[str, Any], tasks: TaskGroup) -> None:
    began = time.time()
    await host.suffer(order["kind"], order["for_s"], tasks)
    print(json.dumps(order | {"began": began, "over": time.time()}), flush=True)


async def _serve(arguments: list[str]) -> None:
    user, password = os.environ[USER], os.environ[SECRET]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        partial(asyncio.StreamReaderProtocol, reader), sys.stdin
    )
    async with anyio.create_task_group() as tasks:
        played = zip(arguments[::2], arguments[1::2], strict=True)
        hosts = [
            Host(CameraSettings(video, port=int(port), user=user, password=password))
            for port, video in played
        ]
        for host in hosts:
            await host.open(tasks)
        print("playing", flush=True)
        while line := await reader.readline():
            order = json.loads(line)
            tasks.start_soon(_suffer, hosts[order["camera"]], order, tasks)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(_serve, sys.argv[1:])
