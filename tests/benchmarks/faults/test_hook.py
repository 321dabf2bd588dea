from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest

from benchmarks.faults.hook import ERROR, Hook

RECORDS = [{"clip_id": "door/0"}, {"clip_id": "door/1"}]


@asynccontextmanager
async def hooked():
    hook = Hook(0, "/records", ("hidden",))
    await hook.open()
    timeout = aiohttp.ClientTimeout(total=0.2)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, anyio.create_task_group() as tasks:
            yield hook, client, tasks
            tasks.cancel_scope.cancel()
    finally:
        await hook.close()


async def post(hook, client, records=RECORDS):
    async with client.post(f"http://127.0.0.1:{hook.port}/records", json=records) as answer:
        return answer.status


async def test_it_counts_what_arrives_and_secrets_in_it():
    async with hooked() as (hook, client, _):
        assert await post(hook, client) == 200
        assert await post(hook, client, [RECORDS[1], {"clip_id": "hidden/2"}]) == 200
        assert hook.arrived == {"door/0": 1, "door/1": 2, "hidden/2": 1}
        assert hook.leaks == 1


@pytest.mark.parametrize(
    ("kind", "fails"), [("gone", aiohttp.ClientError), ("silent", TimeoutError), ("error", None)]
)
async def test_what_comes_in_an_outage_has_not_arrived_and_after_it_all_is_well(kind, fails):
    async with hooked() as (hook, client, tasks):
        assert await post(hook, client) == 200
        port = hook.port
        tasks.start_soon(hook.suffer, kind, 1.5)
        await anyio.sleep(0.1)
        if fails is None:
            assert await post(hook, client) == ERROR
        else:
            with pytest.raises(fails):
                await post(hook, client)
        assert hook.arrived.total() == 2
        await anyio.sleep(1.8)
        assert hook.port == port
        assert await post(hook, client) == 200
        assert hook.arrived.total() == 4
