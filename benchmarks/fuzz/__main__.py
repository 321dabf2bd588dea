"""Attack a real cloud with damaged messages while a healthy device works with it.

    python -m benchmarks.fuzz --messages 100000 [--minutes 10] [--rounds 10] [--attackers 2] [--seed 0]

Attackers know the cloud's token: their bytes, request headers, hellos and messages are real ones, damaged at
random from the seed. They give way to cloud and device (nice 19), since real ones would bring their own
processors. Exit status 1 if the cloud breaks, leaves a message without an answer, or answers the healthy
device wrongly. The device is timed in the quiet between the rounds as well, and while the same is done to
another cloud on the same machine: what it takes longer then is the machine's doing, not its cloud's.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgpack
import typer
from rich.console import Console

from benchmarks.resident import memory_mb

MAIN = Path(__file__).resolve().parents[2] / "main.py"
QUIET_S = BESIDE_S = 6.0
app = typer.Typer(add_completion=False)
console = Console(width=110)


@dataclass(frozen=True)
class Share:
    """What one attacker does in one round."""

    messages: int
    minutes: float
    seed: int

    def lasting(self, minutes: float) -> "Share":
        """As many messages a second for another time."""
        return Share(round(self.messages * minutes / self.minutes), minutes, self.seed)


class Cloud:
    """A cloud process with a token, whose memory is watched."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.token = secrets.token_urlsafe(32)
        (folder / "token").write_text(self.token)
        self._log = (folder / "log").open("w+")
        command = [sys.executable, str(MAIN), "cloud", "--port", "0", "--token-file", str(folder / "token")]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        assert self._process.stdout
        found = re.search(r"ws://\S+", self._process.stdout.readline())
        assert found, "the cloud did not start"
        self.url = found[0]

    def memory(self, name: str) -> float:
        """VmRSS or VmHWM, in MB."""
        found = memory_mb(self._process.pid, name)
        assert found is not None, "the cloud has ended"
        return found

    def processor_s(self) -> float:
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fate(self) -> str:
        """How it ended, if it has, and what it said last."""
        self._log.seek(0)
        return f"the cloud's exit status: {self._process.poll()}; " + "".join(self._log.readlines()[-5:])

    def end(self) -> tuple[int, int, int]:
        """Exit status after SIGTERM, and how many tracebacks and lines its log has."""
        self._process.terminate()
        self._process.communicate()
        self._log.seek(0)
        log = self._log.read()
        return self._process.returncode, log.count("Traceback"), len(log.splitlines())


class Device:
    """The healthy device's process."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        command = [sys.executable, "-m", "benchmarks.fuzz", "healthy", cloud.url, cloud.token]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout and self._process.stdout.readline() == "ready\n"

    def phase(self) -> dict[str, Any]:
        """What it saw since the last time."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._cloud.fate()
        figures: dict[str, Any] = json.loads(line)
        return figures

    def end(self) -> None:
        self._process.communicate()


@app.command()
def fuzz(
    messages: Annotated[int, typer.Option(help="How many damaged messages.")] = 100_000,
    minutes: Annotated[float, typer.Option(help="How long they are to take.")] = 10.0,
    attackers: Annotated[int, typer.Option(help="Processes that attack.")] = 2,
    rounds: Annotated[int, typer.Option(help="In how many rounds, with quiet between.")] = 10,
    alone: Annotated[int, typer.Option(help="How many messages are handled by themselves.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Which damage.")] = 0,
) -> None:
    """Attack, and print what became of the cloud and of the healthy device."""
    from benchmarks.fuzz.report import Findings, figures_table, outcomes_table

    found = Findings()
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        cloud, other_cloud = Cloud(Path(name) / "cloud"), Cloud(Path(name) / "other")
        _write_corpus(corpus)
        device = Device(cloud)
        for number in range(rounds):
            time.sleep(QUIET_S)
            found.quiet.append(device.phase())
            found.memory_mb.append(cloud.memory("VmRSS"))
            share = Share(messages // rounds // attackers, minutes / rounds, seed * rounds + number)
            _attack(other_cloud, corpus, attackers, share.lasting(BESIDE_S / 60))
            found.beside.append(device.phase())
            began, used_s = time.monotonic(), cloud.processor_s()
            found.reports += _attack(cloud, corpus, attackers, share)
            found.attacked.append(device.phase())
            found.attacked_s += time.monotonic() - began
            found.processor_s += cloud.processor_s() - used_s
        time.sleep(QUIET_S)
        found.quiet.append(device.phase())
        found.memory_mb.append(cloud.memory("VmRSS"))
        found.most_mb = cloud.memory("VmHWM")
        device.end()
        found.status, found.tracebacks, found.log_lines = cloud.end()
        other_cloud.end()
        found.costs = _report_of("cost", corpus, alone, seed)
    console.print(figures_table(found))
    console.print(outcomes_table(found))
    sys.exit(0 if found.good else 1)


@app.command(hidden=True)
def attack(url: str, token: str, corpus: Path, count: int, per_s: float, seed: int) -> None:
    """One attacker's process."""
    from benchmarks.fuzz.attacker import attack as run

    os.nice(19)
    run(url, token, corpus, count, per_s, seed)


@app.command(hidden=True)
def cost(corpus: Path, count: int, seed: int) -> None:
    """What messages cost by themselves, in a process of its own."""
    from benchmarks.fuzz.cost import measure

    print(json.dumps(measure(msgpack.unpackb(corpus.read_bytes()), count, seed)))


@app.command(hidden=True)
def healthy(url: str, token: str) -> None:
    """The healthy device's process."""
    from benchmarks.fuzz.healthy import replay

    replay(url, token)


def _write_corpus(path: Path) -> None:
    from benchmarks.fuzz.corpus import messages
    from models import create_model

    path.write_bytes(msgpack.packb(messages(create_model("motions"))))


def _attack(cloud: Cloud, corpus: Path, attackers: int, share: Share) -> list[dict[str, Any]]:
    per_s = share.messages / (60 * share.minutes)
    processes = [
        _start(
            "attack", cloud.url, cloud.token, corpus, share.messages, per_s, share.seed * attackers + number
        )
        for number in range(attackers)
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def _report_of(*arguments: object) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(_start(*arguments).communicate()[0])
    return figures


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.fuzz", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("--"):
        sys.argv.insert(1, "fuzz")
    app()
