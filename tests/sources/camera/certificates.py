"""A certificate for this machine's loopback, made when a test needs one."""

import shutil
import subprocess

import pytest


def certificate(folder):
    """The paths of a certificate and its key; skips the running test where openssl is absent."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent, which makes the certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key
