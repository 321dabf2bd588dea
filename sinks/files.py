"""What every sink that writes to a file needs of the system."""

import fcntl
import os


def write_all(fd: int, line: bytes) -> None:
    """Write the whole of `line`; after an OSError some of it may be in the file."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(fd, rest) :]


def lock_alone(fd: int) -> None:
    """Let no other process lock this file until `fd` is closed; BlockingIOError if one already has."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
