"""How much memory a process takes, as the kernel counts it."""

from pathlib import Path

MEGABYTE = 1e6


def memory_mb(pid: int, name: str = "VmRSS") -> float | None:
    """Resident memory now, or at most so far (VmHWM); None once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith(name)), None)
    return None if found is None else int(found.split()[1]) * 1024 / MEGABYTE
