import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.energy.meter import EnergyMeter, machine_meter
from tests.pipeline.energy.machine import Driver, Turned, monitor, zone


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=5))
def test_it_shows_the_sum_where_all_of_its_sources_are_shown_and_nothing_else(values):
    meter = EnergyMeter([Turned(f"gpu-{number}", value) for number, value in enumerate(values)])
    assert meter.by_source() == {f"gpu-{n}": value for n, value in enumerate(values) if value is not None}
    whole = bool(values) and None not in values
    assert meter.joules() == (pytest.approx(sum(values)) if whole else None)


def test_a_source_that_fails_is_in_the_log_once(caplog):
    source = Turned(joules=None)
    meter = EnergyMeter([source])
    for value in (None, None, 1.0, None):
        source.value = value
        meter.joules()
    assert caplog.messages == ["energy of package-0 was not shown: Input/output error"]
    assert caplog.records[0].levelno == logging.WARNING


def test_while_the_context_lasts_it_is_read_as_often_as_the_most_impatient_source_wants():
    slow, quick, often = Turned(period_s=60.0), Turned("VDD_IN", period_s=0.001), threading.Event()
    read = quick.joules

    def counted():
        if quick.reads >= 3:
            often.set()
        return read()

    quick.joules = counted
    with EnergyMeter([slow, quick]):
        assert often.wait(20)
    reads = quick.reads
    assert not [thread for thread in threading.enumerate() if thread.name == "energy"]
    assert slow.reads >= 3
    assert quick.reads == reads


def test_without_sources_there_is_no_thread():
    with EnergyMeter() as meter:
        assert not [thread for thread in threading.enumerate() if thread.name == "energy"]
    assert (meter.joules(), meter.by_source(), meter.names) == (None, {}, ())


def names(system, nvml):
    return machine_meter(ManualClock(), system, nvml).names


def test_no_joule_of_a_machine_is_counted_twice(tmp_path):
    none, card = Driver(), Driver({"mj": 1})
    assert names(tmp_path, none) == ()
    assert names(tmp_path, card) == ("gpu-0",)
    zone(tmp_path, "0", "package-0")
    assert names(tmp_path, none) == ("package-0",)
    assert names(tmp_path, card) == ("package-0", "gpu-0")
    zone(tmp_path, "1", "psys", energy_uj=1)
    assert names(tmp_path, none) == ("psys",)
    assert names(tmp_path, card) == ("package-0", "gpu-0")
    monitor(tmp_path, in1_label="VDD_IN", in1_input=5000, curr1_input=1)
    assert names(tmp_path, card) == ("VDD_IN",)


def test_a_reading_of_files_takes_less_than_a_millisecond(tmp_path):
    zone(tmp_path, "0", "package-0")
    zone(tmp_path, "1", "package-1")
    meter, took_s = machine_meter(ManualClock(), tmp_path, Driver()), []
    for _ in range(20):
        began = time.perf_counter()
        assert meter.joules() == 0
        took_s.append(time.perf_counter() - began)
    assert min(took_s) < 0.001
