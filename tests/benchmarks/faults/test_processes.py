import os
import time
from pathlib import Path

import pytest

from benchmarks.faults.processes import Process, free_ports
from pipeline.errors import JanusError

SAYS_AND_WAITS = "import sys, time; print('ready', len(sys.argv), flush=True); time.sleep(60)"


@pytest.fixture
def made(tmp_path):
    """Makes processes of a line of Python, gone at the end."""
    found = []

    def make(code, **options):
        found.append(Process("worker", tmp_path, "-c", code, **options))
        found[-1].start()
        return found[-1]

    yield make
    for process in found:
        process.end()


async def test_it_is_heard_and_ends_when_asked(made):
    process = made(SAYS_AND_WAITS)
    assert (await process.says(r"ready (\d)", process.out))[1] == "1"
    assert process.status is None
    assert await process.asked_to_end() == -15


async def test_only_what_it_says_since_its_last_start_counts(made):
    process = made("import os; print('life', os.environ['LIFE'], flush=True)", environment={"LIFE": "one"})
    await process.says("life one", process.out)
    process.end()
    process._environment["LIFE"] = "two"
    process.start()
    assert (await process.says(r"life (\w+)", process.out))[1] == "two"
    assert process.out.read_text() == "life one\nlife two\n"


async def test_a_killed_one_is_gone(made):
    process = made(SAYS_AND_WAITS)
    await process.kill()
    assert process.status == -9


def test_free_ports_differ_and_are_not_of_those_that_the_kernel_hands_out():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    least = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 < port < least for port in ports)


async def test_it_reads_what_it_is_told(made):
    process = made("print(input()[::-1], flush=True)")
    process.tell("abc")
    await process.says("cba", process.out)


async def test_an_end_instead_of_an_answer_is_said_at_once(made):
    process = made("raise SystemExit(3)")
    began = time.monotonic()
    with pytest.raises(JanusError, match=r"the worker ended with exit status 3: see .*worker.log"):
        await process.says("never", process.out)
    assert time.monotonic() - began < 30


async def test_silence_is_said_after_a_while(made):
    process = made(SAYS_AND_WAITS)
    with pytest.raises(JanusError, match=r"did not say 'never' within 0.1 s"):
        await process.says("never", process.out, within_s=0.1)


async def test_it_is_as_nice_as_it_is_told_to_be(made):
    process = made("import os; print('nice', os.nice(0), flush=True)", nice=7)
    found = await process.says(r"nice (\d+)\n", process.out)
    assert int(found[1]) == min(os.nice(0) + 7, 19)
