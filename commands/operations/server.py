"""/healthz, /readyz and /metrics over HTTP."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import choose_encoder
from yarl import URL

from commands.operations.look import Watched
from commands.runtime import announce
from configs.settings import MetricsSettings
from pipeline.errors import ConfigError
from pipeline.worker import Worker
from transport.complaints import Complaints
from transport.front import Front

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_S = 5.0
CLOSE_S = 0.5
VISIT_S = 10.0
VISITORS = 16
TEXT = "text/plain"


class Operations:
    """Answers requests: what is seen of `watched` is taken on the loop, and put into words on a thread."""

    def __init__(self, watched: Watched, worker: Worker) -> None:
        self._watched = watched
        self._worker = worker

    def app(self) -> web.Application:
        """The three pages."""
        app = web.Application(middlewares=[once])
        app.router.add_get("/healthz", self.health)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/metrics", self.metrics)
        return app

    async def health(self, request: web.Request) -> web.Response:
        """The event loop answers: this is that it does."""
        return web.Response(text="ok\n", content_type=TEXT)

    async def ready(self, request: web.Request) -> web.Response:
        """200 while the work is done, 503 before and after; the body says what is lacking."""
        readiness = await self._elsewhere(self._watched.look().readiness)
        return web.json_response(readiness.as_dict(), status=200 if readiness.ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """All metrics, in the format that is asked for."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        look = self._watched.look()
        page = await self._elsewhere(lambda: encode(look))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def _elsewhere(self, work: Callable[[], T]) -> T:
        try:
            with anyio.fail_after(ANSWER_S):
                return await self._worker.run(work)
        except TimeoutError:
            log.warning("metrics: no answer within %g s", ANSWER_S)
            raise web.HTTPServiceUnavailable(text="no answer in time\n") from None


@asynccontextmanager
async def operated(settings: MetricsSettings, watched: Watched) -> AsyncIterator[str | None]:
    """Serve the three pages while the context lasts; yields the address of the metrics, None where no port is
    set. ConfigError when the address cannot be had."""
    if settings.port is None:
        yield None
        return
    front = Front(
        None, Complaints(log), newcomers=VISITORS, request_s=VISIT_S, wanting="metrics: was not done"
    )
    with Worker("operations", daemon=True) as worker:
        runner = web.AppRunner(Operations(watched, worker).app(), access_log=None, shutdown_timeout=CLOSE_S)
        await runner.setup()
        try:
            async with _opened(front, runner, settings.host, settings.port) as port:
                yield str(URL.build(scheme="http", host=settings.host, port=port, path="/metrics"))
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()


def tell_where(metrics: str | None) -> None:
    """Say on stderr where the metrics are, if anywhere."""
    if metrics is not None:
        announce(f"metrics at {metrics}")


@web.middleware
async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One answer for each connection, which then is gone: who stays has asked for nothing."""
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        refusal.force_close()
        raise
    response.force_close()
    return response


@asynccontextmanager
async def _opened(front: Front, runner: web.AppRunner, host: str, port: int) -> AsyncIterator[int]:
    async with AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(front.open(runner, host, port))
        except ConfigError as error:
            raise ConfigError(f"--metrics-port {port}: {error}") from None
        yield found
