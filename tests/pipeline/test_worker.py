import os
import sys
import threading

import anyio
import anyio.to_thread
import pytest

from pipeline.worker import NICER_BY, Worker


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
    assert {name for _, name in results} == {"model"}
    assert most == 1


async def test_a_caller_that_has_gone_costs_nothing_and_stops_nobody():
    started, release, ran = threading.Event(), threading.Event(), []

    def block():
        started.set()
        release.wait(5)

    with Worker("model") as worker, anyio.move_on_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run, block)
            await anyio.to_thread.run_sync(started.wait)
            tasks.start_soon(worker.run, ran.append, "abandoned")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        release.set()
        assert await worker.run(lambda: "next") == "next"
    assert ran == []


async def test_the_thread_ends_when_the_worker_is_closed():
    with Worker("short-lived") as worker:
        thread = await worker.run(threading.current_thread)
    await anyio.to_thread.run_sync(thread.join, 5)
    assert not thread.is_alive()


async def test_a_process_waits_for_no_daemon():
    for daemon in (False, True):
        with Worker("model", daemon=daemon) as worker:
            assert (await worker.run(threading.current_thread)).daemon is daemon


async def test_errors_come_back_to_the_caller():
    with Worker("model") as worker, pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 / 0)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")
async def test_the_loop_comes_before_the_work():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    with Worker("model") as worker:
        assert await worker.run(niceness) == min(19, before + NICER_BY)
    assert niceness() == before


async def test_a_system_that_grants_no_niceness_changes_nothing(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    with Worker("model") as worker:
        assert await worker.run(lambda: "done") == "done"
