"""The relay uses the event loop's own socket calls, so its tests run on both loops."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Loop]:
    loops: dict[str, Loop] = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_relay.py" else loops
