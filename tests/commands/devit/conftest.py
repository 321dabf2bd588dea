from pathlib import Path

import pytest

from tests.commands.devit.shapes import fit, options_for


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `test` and the run `run` over them, unbroken."""
    folder = tmp_path_factory.mktemp("finished")
    fit(options_for(folder), folder / "run")
    return folder
