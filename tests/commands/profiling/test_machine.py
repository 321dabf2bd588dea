import platform

import torch

from commands.profiling import machine
from commands.profiling.machine import describe_machine, processor_name


def test_a_machine_says_what_speed_depends_on(model):
    described = describe_machine(model)
    assert (described.dtype, described.device) == ("float32", "cpu")
    assert described.threads == torch.get_num_threads()
    assert described.versions["torch"] == torch.__version__
    assert described.made_at.endswith("+00:00")


def test_a_name_that_would_command_a_terminal_is_defused(model, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "\x1b[2Jbox" + "x" * 500)
    host = describe_machine(model).host
    assert host.isprintable()
    assert "box" in host and len(host) == 256


def test_the_processor_is_the_models_device(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t: 17\nmodel name\t: Some CPU @ 3 GHz\n")
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    assert processor_name(torch.device("cpu")) == "Some CPU @ 3 GHz"


def test_a_system_that_does_not_name_its_processor_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "missing")
    assert processor_name(torch.device("cpu")) == platform.processor() or platform.machine()
