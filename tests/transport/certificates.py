"""Certificates made by openssl as a test needs them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LOOPBACK = "DNS:localhost,IP:127.0.0.1"
ELLIPTIC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def openssl(*arguments: object) -> None:
    """Run openssl; the test is skipped where there is none."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent, which makes certificates")
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Issued:
    """The paths of a certificate and of its key."""

    cert: Path
    key: Path


class Authority:
    """A CA whose files lie in `folder`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        subject = ("-subj", f"/CN={name}", "-keyout", self._key, "-out", self.cert)
        openssl("req", "-x509", *ELLIPTIC, "-nodes", "-days", 9, *usage, *subject)

    def issue(self, name: str, *extensions: str, days: int = 9, hosts: str = LOOPBACK) -> Issued:
        """A certificate for `hosts`; of 0 days or less it has expired."""
        request, made = self._folder / f"{name}.csr", Issued(*self._paths(name))
        asked = [part for each in (f"subjectAltName={hosts}", *extensions) for part in ("-addext", each)]
        subject = ("-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        openssl("req", "-new", *ELLIPTIC, "-nodes", *asked, *subject)
        signer = ("-CA", self.cert, "-CAkey", self._key, "-copy_extensions", "copyall")
        openssl("x509", "-req", "-in", request, *signer, "-days", days, "-out", made.cert)
        return made

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"
