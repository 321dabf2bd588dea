"""The websocket tests run on both event loops; the others hang on none."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Loop]:
    loops: dict[str, Loop] = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_websocket.py" else loops
