"""Certificates and keys are proved good before anything listens or dials."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from tests.transport.certificates import Authority, Issued, openssl
from transport.security import client_context, server_context

Load = Callable[[Path, Path], ssl.SSLContext]
LOADS: tuple[Load, ...] = (server_context, lambda cert, key: client_context(None, cert, key))
both_ends = pytest.mark.parametrize("load", LOADS, ids=["cloud", "device"])


@both_ends
def test_a_good_certificate_loads_and_speaks_tls_from_1_2_on(load: Load, issued: Issued) -> None:
    assert load(issued.cert, issued.key).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_device_verifies_certificates_and_host_names(authority: Authority) -> None:
    for context in (client_context(), client_context(authority.cert)):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert [ca["subject"] for ca in client_context(authority.cert).get_ca_certs()] == [
        ((("commonName", "ca"),),)
    ]
    assert client_context().cert_store_stats() == ssl.create_default_context().cert_store_stats()


def test_a_cloud_asks_for_certificates_only_where_it_has_a_ca(authority: Authority, issued: Issued) -> None:
    assert server_context(issued.cert, issued.key).verify_mode is ssl.CERT_NONE
    asking = server_context(issued.cert, issued.key, authority.cert)
    assert asking.verify_mode is ssl.CERT_OPTIONAL
    assert len(asking.get_ca_certs()) == 1


@both_ends
def test_a_self_signed_certificate_will_do(load: Load, tmp_path: Path) -> None:
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    names = ("-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, "-keyout", key, "-out", cert)
    load(cert, key)


@both_ends
def test_what_cannot_be_used_is_named_in_one_line(
    load: Load, authority: Authority, issued: Issued, tmp_path: Path
) -> None:
    old = authority.issue("old", days=-1)
    locked, nonsense, missing = tmp_path / "locked.key", tmp_path / "nonsense", tmp_path / "missing"
    openssl("pkey", "-in", issued.key, "-aes256", "-passout", "pass:x", "-out", locked)
    nonsense.write_text("nonsense")
    for cert, key, line in (
        (missing, issued.key, f"{missing}: cannot be read (No such file or directory); give a PEM file"),
        (issued.cert, missing, f"{missing}: cannot be read (No such file or directory); give a PEM file"),
        (issued.cert, tmp_path, f"{tmp_path}: cannot be read (Is a directory); give a PEM file"),
        (issued.cert, old.key, f"{old.key}: is not the key of {issued.cert}; give the key that the"),
        (old.cert, old.key, f"{old.cert}: the certificate has expired; make a new one"),
        (issued.cert, locked, f"{locked}: the key is under a password; give one without"),
        (nonsense, issued.key, f"{nonsense} and {issued.key}: not a certificate and its key in PEM"),
        (issued.cert, nonsense, f"{issued.cert} and {nonsense}: not a certificate and its key in PEM"),
        (issued.key, issued.key, f"{issued.key} and {issued.key}: not a certificate and its key in PEM"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(cert, key)
        assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


@both_ends
def test_a_certificate_is_of_use_for_its_purpose_alone(load: Load, authority: Authority) -> None:
    servers, clients = (
        authority.issue(purpose, f"extendedKeyUsage={purpose}") for purpose in ("serverAuth", "clientAuth")
    )
    fits, misfits = (servers, clients) if load is server_context else (clients, servers)
    load(fits.cert, fits.key)
    with pytest.raises(ConfigError, match=f"{misfits.cert}: the certificate cannot be used .*purpose"):
        load(misfits.cert, misfits.key)


def test_a_ca_that_cannot_be_used_is_named(issued: Issued, tmp_path: Path) -> None:
    for ca, line in (
        (tmp_path / "missing", "cannot be read"),
        (issued.key, "holds no certificate of a CA; give a PEM file"),
    ):
        for load in (client_context, lambda ca: server_context(issued.cert, issued.key, ca)):
            with pytest.raises(ConfigError, match=f"{ca}: {line}"):
                load(ca)
