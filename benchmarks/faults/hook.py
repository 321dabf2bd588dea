"""The far end of a run's webhook: keeps what arrives, and is not always there."""

import asyncio
import json
from collections import Counter

import anyio
from aiohttp import web

ERROR = 503
TAKES_BYTES = 16 << 20


class Hook:
    """A web server at a `port` that stays the same; `arrived` counts the records of each clip."""

    def __init__(self, port: int, path: str, secrets: tuple[str, ...] = ()) -> None:
        self.port = port
        self.arrived: Counter[str] = Counter()
        self.leaks = 0
        self._path = path
        self._secrets = secrets
        self._kind: str | None = None
        self._over = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Take records."""
        app = web.Application(client_max_size=TAKES_BYTES)
        app.router.add_post(self._path, self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Be gone: connections end, and new ones are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def suffer(self, kind: str, seconds: float) -> None:
        """Be gone, answer with an error, or be silent, for `seconds`."""
        self._kind, self._over = kind, asyncio.Event()
        if kind == "gone":
            await self.close()
        await anyio.sleep(seconds)
        self._kind = None
        self._over.set()
        if kind == "gone":
            await self.open()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        if self._kind == "silent":
            await self._over.wait()
            return web.Response(status=ERROR)
        if self._kind is not None:
            return web.Response(status=ERROR)
        self.leaks += sum(secret in body for secret in self._secrets)
        self.arrived.update(record["clip_id"] for record in json.loads(body))
        return web.Response()
