import pytest
from pydantic import SecretStr

from tests.transport.certificates import Authority, Issued
from transport.security import Credentials, Entrance, Tokens, is_loopback, server_context


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine_s_own_addresses_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "192.0.2.7", "fe80::1", "cloud.example", "localhost.example"]
)
def test_every_other_address_can_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)


def test_an_entrance_wants_a_certificate_where_its_tls_asks_for_one(
    authority: Authority, issued: Issued
) -> None:
    assert not Entrance().wants_certificate
    assert not Entrance(server_context(issued.cert, issued.key)).wants_certificate
    assert Entrance(server_context(issued.cert, issued.key, authority.cert)).wants_certificate


def test_what_is_shown_and_what_is_wanted_hide_their_tokens() -> None:
    token = SecretStr("a-token-that-nobody-sees")
    for thing in (Credentials(token=token), Entrance(tokens=Tokens([token]))):
        assert token.get_secret_value() not in f"{thing!r} {thing}"
