import pytest

from commands.showing import require_secure
from configs.files import CloudFile, DeviceFile, PeerFile
from pipeline.errors import ConfigError
from transport.security.tokens import VARIABLE

TOKEN = "a-token-of-this-cloud-0"


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens").write_text(TOKEN)


def device(**link):
    return DeviceFile(link={"url": "ws://127.0.0.1:1", **link})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            CloudFile(host="0.0.0.0"),
            "anybody who reaches 0.0.0.0 could use this server: add token_file: FILE",
        ),
        (PeerFile(host="0.0.0.0"), "tls_client_ca, or insecure: true where"),
        (CloudFile(token_file="gone"), "token_file: gone: the tokens cannot be read"),
        (CloudFile(tls_cert="a", tls_key="gone"), "tls_cert: a: "),
        (CloudFile(tls_cert="tokens"), "tls_cert and tls_key: give both or neither"),
        (device(token_file="gone"), "link.token_file: gone: the tokens cannot be read"),
        (device(url="wss://a:1", tls_ca="gone"), "link.tls_ca: gone: "),
        (
            device(tls_ca="gone"),
            "link.tls_ca, link.tls_cert and link.tls_key need TLS: dial wss://127.0.0.1:1",
        ),
        (device(tls_cert="a"), "link.tls_cert and link.tls_key: give both or neither"),
        (device(url="ws://192.0.2.7:1", token_file="tokens"), "or add link.insecure: true where the network"),
        (
            DeviceFile(peers={"urls": ["ws://192.0.2.7:1"]}, link={"token_file": "tokens"}),
            "the token would cross the network to 192.0.2.7 in the clear",
        ),
    ],
)
def test_what_the_verb_would_refuse_names_the_keys_of_the_file(settings, said):
    with pytest.raises(ConfigError) as caught:
        require_secure(settings)
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        CloudFile(),
        CloudFile(host="0.0.0.0", token_file="tokens"),
        PeerFile(host="0.0.0.0", insecure=True),
        DeviceFile(link={"token_file": "gone"}),
        device(token_file="tokens"),
    ],
)
def test_what_the_verb_would_start_with_will_do(settings):
    require_secure(settings)
