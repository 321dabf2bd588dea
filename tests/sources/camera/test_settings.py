import ssl
import subprocess

import pytest

from pipeline.errors import ConfigError
from sources.camera.settings import CameraSettings
from tests.sources.camera.certificates import certificate


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"port": 65536}, "--port 65536"),
        ({"path": ""}, "--path ''"),
        ({"path": "a b"}, "--path 'a b'"),
        ({"path": "/a"}, "--path '/a'"),
        ({"user": "u"}, "give both or neither"),
        ({"password": "secret"}, "give both or neither"),
        ({"user": 'u"', "password": "secret"}, "without quotes, colons"),
        ({"user": "a:b", "password": "secret"}, "without quotes, colons"),
        ({"tls_cert": "a.pem"}, "--tls-cert and --tls-key"),
        ({"fps": 0.0}, "--fps 0"),
        ({"fps": float("nan")}, "--fps nan"),
        ({"fps": 1e9}, "at most 240"),
    ],
)
def test_what_cannot_be_served_is_one_line_without_the_password(options, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        CameraSettings("pattern:motions", **options)
    assert "secret" not in str(caught.value)


def test_a_password_does_not_show():
    assert "secret" not in repr(CameraSettings("pattern:motions", user="user", password="secret"))


def test_without_a_certificate_there_is_no_tls_and_with_one_no_udp(tmp_path):
    plain = CameraSettings("pattern:motions")
    assert (plain.tls(), plain.scheme, plain.serves_udp) == (None, "rtsp", True)
    cert, key = certificate(tmp_path)
    safe = CameraSettings("pattern:motions", tls_cert=cert, tls_key=key)
    assert isinstance(safe.tls(), ssl.SSLContext)
    assert (safe.scheme, safe.serves_udp) == ("rtsps", False)
    assert not CameraSettings("pattern:motions", udp=False).serves_udp


def test_a_certificate_that_cannot_be_used_is_named(tmp_path):
    wrong = tmp_path / "wrong.pem"
    for content in (None, "no certificate"):
        if content:
            wrong.write_text(content)
        with pytest.raises(ConfigError, match=r"wrong.pem and .*wrong.pem: .*; give PEM files"):
            CameraSettings("pattern:motions", tls_cert=wrong, tls_key=wrong).tls()


def test_a_key_under_a_password_is_refused_without_a_question(tmp_path):
    cert, key = certificate(tmp_path)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigError, match=r"locked.pem: the key is under a password; give PEM files"):
        CameraSettings("pattern:motions", tls_cert=cert, tls_key=locked).tls()
