"""All tests share one cache, processes that they start included, and nobody's own is touched."""

import os
from tempfile import TemporaryDirectory

import pytest


def pytest_configure(config: pytest.Config) -> None:
    folder = TemporaryDirectory(prefix="janus-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_CACHE_HOME"] = folder.name
