import socket

import pytest

from pipeline.errors import ConfigError
from transport import listeners
from transport.listeners import listen


async def test_every_address_of_a_host_listens_at_one_port() -> None:
    found = await listen("", 0)
    ports = {each.getsockname()[1] for each in found}
    assert len(ports) == 1 and ports != {0}
    assert {each.family for each in found} <= {socket.AF_INET, socket.AF_INET6}
    for each in found:
        assert not each.getblocking()
        each.close()


async def test_an_address_that_this_machine_lacks_is_passed_over_if_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def two(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]

    class Loop:
        getaddrinfo = two

    monkeypatch.setattr(listeners.asyncio, "get_running_loop", Loop)
    (found,) = await listen("two.example", 0)
    assert found.getsockname()[0] == "127.0.0.1"
    found.close()


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("a" * 300, ""),
    ],
)
async def test_an_address_that_cannot_be_had_is_named_in_one_line(host: str, line: str) -> None:
    with pytest.raises(
        ConfigError, match=f"cannot listen on {host}:0: {line}.*; choose another port or host"
    ):
        await listen(host, 0)


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use; choose another"):
            await listen("127.0.0.1", port)
