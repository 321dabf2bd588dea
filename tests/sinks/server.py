"""A web server that keeps what is posted to it, and misbehaves when told to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer


class Hook:
    """Answers with `status` while there is one to answer; keeps the bodies it said 200 to."""

    def __init__(self) -> None:
        self.status = 200
        self.hanging = False
        self.most_bytes = 1 << 20
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.tried = asyncio.Event()

    @property
    def seqs(self) -> list[int]:
        return [record["seq"] for body in self.bodies for record in json.loads(body)]

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried.set()
        if self.hanging:
            await asyncio.Event().wait()
        if len(body) > self.most_bytes:
            return web.Response(status=413)
        if self.status == 200:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def serving(hook: Hook, port: int | None = None, **options: object) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_post("/hook", hook.post)
    server = TestServer(app, port=port)
    await server.start_server(shutdown_timeout=0.01, **options)
    try:
        yield server
    finally:
        await server.close()


async def off_the_loop(work: Callable[..., None], *args: object) -> None:
    """Run what blocks, such as a sink's close, while this loop goes on to serve it."""
    done = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def run() -> None:
        try:
            work(*args)
        except BaseException as error:
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=run).start()
    await asyncio.wait_for(done, 60)


async def until(condition: Callable[[], bool]) -> None:
    """Let the other ends go on until `condition` holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the other ends are real, and have threads of their own
            await asyncio.sleep(0.002)
