"""Records to a web server: POST of a JSON array, signed if wished."""

import hashlib
import hmac
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import anyio

from pipeline.errors import SinkError
from sinks.courier import RecordsRefused
from sinks.segments import Spooled
from sinks.settings import WebhookSettings

SIGNATURE = "X-Janus-Signature"
REFUSALS = frozenset({413, 422})


class WebhookRemote:
    """Posts up to `batch` records at once. Any 2xx means that the server has them; 413 and 422 that it
    will never take them; everything else, or no answer within `timeout_s`, that it has to be tried again."""

    greets = False

    def __init__(self, settings: WebhookSettings) -> None:
        self.name = settings.label
        self.most_records = settings.batch
        self._settings = settings
        self._tls = settings.tls_context()

    def tell(self, source: str, state: str) -> None:
        """A web server hears of clips only."""

    @asynccontextmanager
    async def session(self) -> AsyncGenerator["WebhookSession", None]:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        connector = aiohttp.TCPConnector(ssl=self._tls or True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
            yield WebhookSession(client, self._settings)


class WebhookSession:
    """Connections that are kept open between two posts."""

    def __init__(self, client: aiohttp.ClientSession, settings: WebhookSettings) -> None:
        self._client = client
        self._settings = settings

    async def send(self, records: Sequence[Spooled]) -> None:
        """Post them; RecordsRefused or SinkError unless the server says that it has them."""
        body = b"[" + b",".join(record.line.rstrip(b"\n") for record in records) + b"]"
        status = await self._post(body)
        if status in REFUSALS:
            raise RecordsRefused(f"{self._settings.label}: the server refuses with status {status}")
        if not 200 <= status < 300:
            raise SinkError(f"{self._settings.label}: the server answers with status {status}")

    async def lost(self) -> None:
        """There is no connection to lose: each post stands for itself."""
        await anyio.sleep_forever()

    async def _post(self, body: bytes) -> int:
        url = self._settings.url.get_secret_value()
        try:
            async with self._client.post(
                url, data=body, headers=self._headers(body), allow_redirects=False
            ) as answer:
                return answer.status
        except TimeoutError:
            raise SinkError(
                f"{self._settings.label}: no answer within {self._settings.timeout_s:g} s"
            ) from None
        except aiohttp.ClientError as error:
            raise SinkError(f"{self._settings.label}: cannot be reached ({_reason(error)})") from None

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._settings.token is not None:
            headers["Authorization"] = f"Bearer {self._settings.token.get_secret_value()}"
        if self._settings.secret is not None:
            headers[SIGNATURE] = sign(self._settings.secret.get_secret_value(), body)
        return headers


def sign(secret: str, body: bytes) -> str:
    """The value of the signature header: sha256= and the HMAC of the body in hex."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _reason(error: aiohttp.ClientError) -> str:
    """What happened, without the address, which may hold a secret."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    said = getattr(cause, "strerror", None)
    return said if isinstance(said, str) else type(error).__name__
