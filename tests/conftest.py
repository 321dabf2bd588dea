"""All tests share one cache, processes that they start included, and nobody's own is touched."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

# One thread a worker: tests run beside each other, and two that wait for each other are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How fast a machine draws and runs examples is no property of the code.
settings.register_profile("janus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("janus")


def pytest_configure(config: pytest.Config) -> None:
    folder = TemporaryDirectory(prefix="janus-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_CACHE_HOME"] = folder.name
    if sys.dont_write_bytecode:
        keep_bytecode(config.rootpath / ".pytest_cache" / "bytecode")


def keep_bytecode(folder: Path) -> None:
    """Compile modules into `folder`, in workers and in processes that they start too: where nothing is kept,
    every process that imports torch compiles all of it, which takes as long as all else that it does."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder)
    sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests of processes, cameras and links wait now and then."""
    return (os.cpu_count() or 1) + 1
