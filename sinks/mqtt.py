"""Records to an MQTT broker, with a last will and the state of each source."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import aiomqtt
import anyio

from pipeline.errors import SinkError
from sinks.courier import first_of
from sinks.segments import Spooled
from sinks.settings import MqttSettings

ONLINE, OFFLINE = "online", "offline"
GOODBYE_S = 2.0
QOS = 1
MOST_RECORDS = 20


class MqttRemote:
    """Publishes each record on PREFIX/SOURCE/clip (QoS 1), "online" on PREFIX/available, where the last
    will puts "offline", and what `tell()` was told on PREFIX/SOURCE/status; both of these retained."""

    greets = True
    most_records = MOST_RECORDS

    def __init__(self, settings: MqttSettings) -> None:
        self.name = settings.label
        self._settings = settings
        self._tls = settings.tls_context()
        self._states: dict[str, str] = {}
        self._session: MqttSession | None = None

    def tell(self, source: str, state: str) -> None:
        """Publish the state of a source, now and after each new connection; call on the sink's loop."""
        self._states[source] = state
        if self._session is not None:
            self._session.changed.set()

    @asynccontextmanager
    async def session(self) -> AsyncGenerator["MqttSession", None]:
        try:
            async with self._client() as client:
                client.pending_calls_threshold = MOST_RECORDS + 2
                self._session = MqttSession(client, self._settings.topic, self._states)
                await self._session.say(ONLINE)
                try:
                    yield self._session
                finally:
                    await self._goodbye(self._session)
        except aiomqtt.MqttError as error:
            raise SinkError(f"{self.name}: {error}") from None
        finally:
            self._session = None

    async def _goodbye(self, session: "MqttSession") -> None:
        with anyio.CancelScope(shield=True), suppress(aiomqtt.MqttError), anyio.move_on_after(GOODBYE_S):
            await session.say(OFFLINE)

    def _client(self) -> aiomqtt.Client:
        settings = self._settings
        password = settings.password.get_secret_value() if settings.password else None
        return aiomqtt.Client(
            *settings.address,
            username=settings.user,
            password=password,
            will=aiomqtt.Will(f"{settings.topic}/available", OFFLINE, QOS, retain=True),
            timeout=settings.timeout_s,
            keepalive=settings.keepalive_s,
            tls_context=self._tls,
        )


class MqttSession:
    """One connection to a broker."""

    def __init__(self, client: aiomqtt.Client, prefix: str, states: dict[str, str]) -> None:
        self.changed = anyio.Event()
        self._client = client
        self._prefix = prefix
        self._states = states
        self._told: dict[str, str] = {}

    async def send(self, records: Sequence[Spooled]) -> None:
        """Publish them in order; returns when the broker has acknowledged each."""
        failures: list[aiomqtt.MqttError] = []

        async def publish(record: Spooled) -> None:
            topic = f"{self._prefix}/{level(str(record.fields.get('source')))}/clip"
            try:
                await self._client.publish(topic, record.line.rstrip(b"\n"), qos=QOS)
            except aiomqtt.MqttError as error:
                failures.append(error)

        async with anyio.create_task_group() as group:
            for record in records:
                group.start_soon(publish, record)
        if failures:
            raise failures[0]

    async def lost(self) -> None:
        """Raise MqttError once the connection is gone; until then publish what sources are told to be."""
        await first_of(self._listen, self._publish_states)

    async def say(self, availability: str) -> None:
        """Publish whether this device is there."""
        await self._client.publish(f"{self._prefix}/available", availability, qos=QOS, retain=True)

    async def _listen(self) -> None:
        async for _ in self._client.messages:
            pass

    async def _publish_states(self) -> None:
        while True:
            changed = self.changed
            for source, state in list(self._states.items()):
                if self._told.get(source) != state:
                    topic = f"{self._prefix}/{level(source)}/status"
                    await self._client.publish(topic, state, qos=QOS, retain=True)
                    self._told[source] = state
            await changed.wait()
            self.changed = anyio.Event()


def level(source: str) -> str:
    """A source's name as one level of a topic: what MQTT gives a meaning, and %, become %XX."""
    return re.sub(r"[/+#%\x00-\x1f\x7f]", lambda found: f"%{ord(found[0]):02X}", source)
