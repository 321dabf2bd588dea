from collections.abc import Iterator

import pytest
import torch

from models import configure_threads


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would be all that is measured."""
    before = torch.get_num_threads()
    configure_threads(1)
    yield
    configure_threads(before)
