"""The websocket tests run on both event loops; the others hang on none."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

ON_BOTH = ("test_websocket.py", "test_serving.py", "test_refusals.py")
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Loop]:
    loops: dict[str, Loop] = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name in ON_BOTH else loops
