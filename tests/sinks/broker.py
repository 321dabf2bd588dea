"""An MQTT broker in the test's own process, and somebody who listens to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig


def config(port: int, tls: tuple[Path, Path] | None = None, users: Path | None = None) -> BrokerConfig:
    listener: dict[str, object] = {"bind": f"127.0.0.1:{port}"}
    if tls is not None:
        listener |= {"ssl": True, "certfile": str(tls[0]), "keyfile": str(tls[1])}
    plugins: dict[str, dict[str, object]] = {
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": users is None}
    }
    if users is not None:
        plugins["amqtt.plugins.authentication.FileAuthPlugin"] = {"password_file": str(users)}
    return BrokerConfig(listeners={"default": ListenerConfig(**listener)}, plugins=plugins)


@asynccontextmanager
async def broker(port: int, **options: object) -> AsyncIterator[Broker]:
    running = Broker(config(port, **options))
    await running.start()
    try:
        yield running
    finally:
        await running.shutdown()


class Ear:
    """What was published below a topic."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []

    def said(self, topic: str) -> list[bytes]:
        return [payload for heard, payload, _ in self.heard if heard == topic]


@asynccontextmanager
async def listening(port: int, topic: str = "#") -> AsyncIterator[Ear]:
    ear = Ear()
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic, qos=1)

        async def listen() -> None:
            with suppress(aiomqtt.MqttError):
                async for message in client.messages:
                    ear.heard.append((str(message.topic), bytes(message.payload), message.retain))

        task = asyncio.create_task(listen())
        try:
            yield ear
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
