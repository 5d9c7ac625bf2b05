"""A certificate that no authority has signed, as a person makes one for a server of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Tuple

import pytest


def self_signed(folder: Path, *hosts: str) -> Tuple[Path, Path]:
    """A certificate for 127.0.0.1 and these hosts, and its key, made in a folder."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ",".join(["IP:127.0.0.1", *(f"DNS:{host}" for host in hosts)])
    command += ["-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={names}"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert", folder / "key"
