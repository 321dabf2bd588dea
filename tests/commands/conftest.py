import pytest

from commands.profiling.cache import cache_folder, cache_key, write_profile
from configs.settings import ModelSettings
from models import SplitViT, create_model
from tests.commands.machines import profile_for


@pytest.fixture(scope="session")
def model() -> SplitViT:
    return create_model("motions")


@pytest.fixture(scope="session", autouse=True)
def known_machine(model: SplitViT) -> None:
    """Processes find a profile of this machine, so that none of them measures it: 1 ms a layer."""
    write_profile(profile_for(model), cache_folder() / f"{cache_key(model, ModelSettings())}.json")
