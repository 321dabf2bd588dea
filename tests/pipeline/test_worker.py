import threading

import anyio
import pytest

from pipeline.worker import Worker


async def test_all_work_runs_on_one_thread_of_that_name_and_never_at_once():
    running, most = 0, 0

    def work(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1
        return item, threading.current_thread().name

    results = []
    with Worker("model") as worker:

        async def one(item):
            results.append(await worker.run(work, item))

        async with anyio.create_task_group() as tasks:
            for item in range(20):
                tasks.start_soon(one, item)
    assert sorted(item for item, _ in results) == list(range(20))
    assert {name for _, name in results} == {"model_0"}
    assert most == 1


async def test_errors_come_back_to_the_caller():
    with Worker("model") as worker, pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 / 0)
