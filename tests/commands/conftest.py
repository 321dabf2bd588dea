from pathlib import Path

import pytest

from commands.profiling.cache import cache_folder, cache_key, write_profile
from configs.settings import ModelSettings
from models import SplitViT, create_model
from pipeline.energy import meter
from tests.commands.machines import profile_for


@pytest.fixture(scope="session")
def model() -> SplitViT:
    return create_model("motions")


@pytest.fixture(scope="session", autouse=True)
def known_machine(model: SplitViT) -> None:
    """Processes find a profile of this machine, so that none of them measures it: 1 ms a layer."""
    write_profile(profile_for(model), cache_folder() / f"{cache_key(model, ModelSettings())}.json")


@pytest.fixture(autouse=True)
def no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program says does not hang on whether the machine under the tests shows what it takes."""
    monkeypatch.setattr(meter, "SYSTEM", Path("nowhere"))
    monkeypatch.setattr(meter, "installed_nvml", lambda: None)
