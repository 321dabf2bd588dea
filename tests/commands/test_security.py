"""From settings to what device and cloud show each other."""

import logging
import re
import ssl

import pytest
from pydantic import SecretStr

from commands import cloud, evaluate
from commands.evaluate import EvaluateRequest
from commands.evaluation.data import Data
from commands.plan import set_up
from commands.security import credentials_of, entrance_of
from configs.settings import CloudSettings, DeviceSettings, LinkSettings, ModelSettings, PlanSettings
from pipeline.errors import ConfigError
from sources.labelled import Protocol
from tests.transport.certificates import Authority
from transport.security.tokens import VARIABLE, authorization

TOKEN, OTHER = "a-token-of-this-cloud-0", "a-token-of-another-one-1"
NO_MODEL = ModelSettings(name="no-such-model")


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority):
    issued = authority.issue("good")
    return {"tls_cert": issued.cert, "tls_key": issued.key}


@pytest.fixture
def tokens(tmp_path):
    (tmp_path / "tokens").write_text(f"{TOKEN}\n{OTHER}\n")
    return tmp_path / "tokens"


def test_a_device_shows_the_first_token_of_its_file_or_the_one_in_its_environment(tokens, monkeypatch):
    plain = LinkSettings(url="ws://127.0.0.1:1")
    assert credentials_of(plain).token is None
    monkeypatch.setenv(VARIABLE, OTHER)
    assert credentials_of(plain).token == SecretStr(OTHER)
    assert credentials_of(LinkSettings(url="ws://127.0.0.1:1", token_file=tokens)).token == SecretStr(TOKEN)
    assert credentials_of(LinkSettings()).token is None


def test_a_device_speaks_tls_where_its_url_says_so(authority, pair):
    assert credentials_of(LinkSettings(url="ws://cloud.example:1")).tls is None
    plain = credentials_of(LinkSettings(url="wss://cloud.example:1"))
    assert isinstance(plain.tls, ssl.SSLContext) and not plain.certificate
    own = credentials_of(LinkSettings(url="wss://cloud.example:1", tls_ca=authority.cert, **pair))
    assert own.certificate and own.tls is not None and len(own.tls.get_ca_certs()) == 1


@pytest.mark.parametrize("host", ["cloud.example", "192.0.2.7", "[2001:db8::1]"])
def test_a_token_crosses_a_network_in_the_clear_only_where_it_is_asked_to(host, tokens):
    link = LinkSettings(url=f"ws://{host}:8765", token_file=tokens)
    with pytest.raises(ConfigError) as caught:
        credentials_of(link)
    assert f"in the clear: dial wss://{host}:8765/janus, or add --insecure" in str(caught.value)
    assert credentials_of(link.model_copy(update={"insecure": True})).token == SecretStr(TOKEN)
    assert credentials_of(link.model_copy(update={"url": f"wss://{host}:8765"})).token == SecretStr(TOKEN)


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key"])
def test_a_certificate_and_its_key_go_together(missing, pair):
    half = {key: path for key, path in pair.items() if key != missing}
    for make in (
        lambda: credentials_of(LinkSettings(url="wss://cloud.example:1", **half)),
        lambda: entrance_of(CloudSettings(**half)),
    ):
        with pytest.raises(ConfigError, match="--tls-cert and --tls-key: give both or neither"):
            make()


def test_what_needs_tls_is_not_quietly_forgotten(authority, pair):
    for given in ({"tls_ca": authority.cert}, pair):
        with pytest.raises(ConfigError, match=re.escape("need TLS: dial wss://127.0.0.1:1/janus")):
            credentials_of(LinkSettings(url="ws://127.0.0.1:1", **given))
    with pytest.raises(ConfigError, match="--tls-client-ca needs TLS: add --tls-cert and --tls-key"):
        entrance_of(CloudSettings(tls_client_ca=authority.cert))


def test_a_cloud_wants_what_it_was_told_to_want(authority, pair, tokens, monkeypatch):
    free = entrance_of(CloudSettings())
    assert free.tls is None and not free.tokens and not free.wants_certificate
    both = entrance_of(CloudSettings(token_file=tokens, tls_client_ca=authority.cert, **pair))
    assert both.tls is not None and len(both.tokens) == 2 and both.wants_certificate
    assert not entrance_of(CloudSettings(token_file=tokens, **pair)).wants_certificate
    monkeypatch.setenv(VARIABLE, TOKEN)
    asking = entrance_of(CloudSettings()).tokens
    assert asking.accept(authorization(SecretStr(TOKEN))["Authorization"]) and not asking.accept(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.7", "cloud.example"])
def test_a_cloud_that_others_can_reach_is_not_open_to_all_of_them_by_mistake(
    host, authority, pair, tokens, caplog
):
    with pytest.raises(
        ConfigError, match=r"add --token-file FILE .*token_urlsafe.*--tls-client-ca, or --insecure"
    ):
        entrance_of(CloudSettings(host=host, **pair))
    assert not caplog.text
    entrance_of(CloudSettings(host=host, token_file=tokens, **pair))
    entrance_of(CloudSettings(host=host, tls_client_ca=authority.cert, **pair))
    assert not caplog.text
    for plain in ({"token_file": tokens}, {"insecure": True}):
        caplog.clear()
        entrance_of(CloudSettings(host=host, **plain))
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "in the clear" in caplog.text


def test_what_cannot_be_used_is_said_before_a_model_is_looked_for(tmp_path):
    missing = tmp_path / "missing"
    link = LinkSettings(url="ws://127.0.0.1:1", token_file=missing)
    device = DeviceSettings(model=NO_MODEL, link=link, plan=PlanSettings(split=4))
    request = EvaluateRequest(Data("pattern:motions", Protocol.parse("1x1", 1), None, 0))
    for start in (
        lambda: cloud.run(CloudSettings(model=NO_MODEL, token_file=missing)),
        lambda: set_up(device),
        lambda: evaluate.run(device, request),
    ):
        with pytest.raises(ConfigError, match=f"{missing}: the tokens cannot be read"):
            start()
