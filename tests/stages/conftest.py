import pytest

from models import SplitViT, create_model


@pytest.fixture(scope="session")
def model() -> SplitViT:
    return create_model("motions")
