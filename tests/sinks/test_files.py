import os

import pytest

from sinks.files import lock_alone, write_all


def test_a_write_that_the_system_takes_in_pieces_is_finished(tmp_path, monkeypatch):
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    write_all(fd, b"abcdefgh")
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"abcdefgh"


def test_a_lock_is_held_by_one_until_it_lets_go(tmp_path):
    first, second = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    lock_alone(first)
    with pytest.raises(BlockingIOError):
        lock_alone(second)
    os.close(first)
    lock_alone(second)
    os.close(second)
