import logging

import pytest

from pipeline.energy.rapl import rapl_counters
from tests.pipeline.energy.machine import hide, write, zone


def names(system, whole_platform=True):
    return [counter.name for counter in rapl_counters(system, whole_platform=whole_platform)]


def test_packages_are_counted_in_joules_and_their_parts_are_not(tmp_path):
    package = zone(tmp_path, "0", "package-0", 5_000_000)
    zone(tmp_path, "0:0", "core", 1_000_000)
    zone(tmp_path, "0:1", "dram", 1_000_000)
    zone(tmp_path, "1", "package-1", 7_000_000)
    first, second = rapl_counters(tmp_path, whole_platform=True)
    write(package, energy_uj=8_500_000)
    assert (first.name, first.joules()) == ("package-0", 3.5)
    assert (second.name, second.joules()) == ("package-1", 0.0)


def test_a_package_begins_again_beyond_its_range(tmp_path):
    package = zone(tmp_path, "0", "package-0", 999_999_000, most=1_000_000_000)
    (counter,) = rapl_counters(tmp_path, whole_platform=False)
    write(package, energy_uj=2_000)
    assert counter.joules() == pytest.approx(0.003)


def test_the_platform_stands_for_its_packages_where_it_counts_and_is_wanted(tmp_path):
    zone(tmp_path, "0", "package-0", 5)
    platform = zone(tmp_path, "1", "psys", 9)
    assert names(tmp_path) == ["psys"]
    assert names(tmp_path, whole_platform=False) == ["package-0"]
    write(platform, energy_uj=0)
    assert names(tmp_path) == ["package-0"]


@pytest.mark.parametrize("roads", [("",), ("-tpmi",), ("", "-mmio")])
def test_a_package_is_counted_once_by_whatever_roads_it_is_shown(tmp_path, roads):
    for road in roads:
        folder = tmp_path / "class" / "powercap" / f"intel-rapl{road}"
        write(folder, enabled=1)
        write(folder.with_name(f"{folder.name}:0"), name="package-0", energy_uj=1, max_energy_range_uj=10)
    assert names(tmp_path) == ["package-0"]


def test_what_may_not_be_read_is_not_there_and_the_log_says_so_once(tmp_path, caplog):
    for number in range(2):
        hide(zone(tmp_path, f"{number}", f"package-{number}") / "energy_uj")
    with caplog.at_level(logging.INFO):
        assert names(tmp_path) == []
    (line,) = caplog.messages
    assert line.startswith("energy of 2 zones of the processor is not shown: ")
    assert "energy_uj" in line


def test_a_machine_without_powercap_shows_nothing_and_says_nothing(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert names(tmp_path) == []
    assert not caplog.messages
