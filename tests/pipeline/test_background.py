"""Work beside a body of code."""

import anyio
import pytest

from pipeline.background import background


async def test_work_runs_beside_the_body_and_is_cancelled_after_it() -> None:
    seen: list[str] = []
    started = anyio.Event()

    async def work() -> None:
        seen.append("started")
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("ended")

    async with background(work):
        await started.wait()
        assert seen == ["started"]
    assert seen == ["started", "ended"]


async def test_an_error_of_the_body_is_not_wrapped() -> None:
    with pytest.raises(KeyError, match="own"):
        async with background(anyio.sleep_forever):
            raise KeyError("own")


async def test_a_failing_work_ends_the_body() -> None:
    async def fail() -> None:
        raise ValueError("bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with background(fail):
            await anyio.sleep_forever()
    assert caught.group_contains(ValueError, match="bug")
