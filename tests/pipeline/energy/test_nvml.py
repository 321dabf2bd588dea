import logging
import sys

from pipeline.clock import ManualClock
from pipeline.energy.nvml import gpus, installed_nvml
from tests.pipeline.energy.machine import Driver


def test_each_gpus_own_counter_is_in_millijoules():
    driver = Driver({"mj": 4000}, {"mj": 500})
    first, second = gpus(driver, ManualClock())
    driver.cards[0]["mj"] = 5500
    assert (first.name, first.joules()) == ("gpu-0", 1.5)
    assert (second.name, second.joules()) == ("gpu-1", 0.0)


def test_a_gpu_that_does_not_count_is_looked_at_for_its_power():
    clock = ManualClock()
    (card,) = gpus(Driver({"mw": 30_000}), clock)
    clock.advance(2.0)
    assert card.joules() == 60.0


def test_a_gpu_that_shows_nothing_is_not_there_and_keeps_no_other_from_it(caplog):
    with caplog.at_level(logging.INFO):
        found = gpus(Driver({}, {"mj": 1}), ManualClock())
    assert [card.name for card in found] == ["gpu-1"]
    assert caplog.messages == ["energy of gpu-0 is not shown: NVML: Not Supported"]


def test_a_machine_without_a_driver_shows_no_gpu_and_the_log_says_why(caplog):
    with caplog.at_level(logging.INFO):
        assert gpus(Driver({"mj": 1}, broken="Driver Not Loaded"), ManualClock()) == []
    assert caplog.messages == ["energy of GPUs is not shown: NVML: Driver Not Loaded"]


def test_the_package_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert installed_nvml() is None
    assert gpus(None, ManualClock()) == []
    monkeypatch.setitem(sys.modules, "pynvml", driver := Driver())
    assert installed_nvml() is driver
