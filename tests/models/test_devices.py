import pytest

from models.devices import require_device
from pipeline.errors import ModelError


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:17"])
def test_names_of_devices_are_known_without_the_device(device):
    require_device(device)


@pytest.mark.parametrize("device", ["", "quantum", "meta", "cuda:", "cuda:x", "cuda:999", "CPU", "cpu "])
def test_any_other_name_is_one_clear_error(device):
    with pytest.raises(ModelError, match="is unknown; choose cpu, cuda or cuda:N"):
        require_device(device)
