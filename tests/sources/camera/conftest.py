"""The camera closes, resets and reads sockets itself, so tests that connect run on both event loops."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Loop = Callable[[], asyncio.AbstractEventLoop]
CONNECTING = frozenset(
    {"test_camera.py", "test_client.py", "test_listener.py", "test_players.py", "test_roads.py"}
)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Loop]:
    loops: dict[str, Loop] = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name in CONNECTING else loops
