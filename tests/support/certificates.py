"""Certificates of an authority of our own, made when they are needed by the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_LEAF = """
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName={names}
"""
_CONFIGURATION = """
[req]
distinguished_name=name
x509_extensions=authority
[name]
[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
"""


class Authority(NamedTuple):
    """A certificate authority, and servers that it vouches for.

    Attributes:
        file: Its certificate, to be trusted.
        server: For `gateway.test`, `localhost` and 127.0.0.1.
        other: For another name.
    """

    file: Path
    server: ssl.SSLContext
    other: ssl.SSLContext


def make_authority(folder: Path) -> Authority:
    """Make one in a folder; a test is skipped where there is no `openssl`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "openssl.cnf").write_text(_CONFIGURATION)
    subject = ["-config", "openssl.cnf", "-subj"]
    openssl("req", "-x509", *_KEY, *subject, "/CN=authority", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem")

    def server(name: str, names: str) -> ssl.SSLContext:
        (folder / f"{name}.cnf").write_text(_LEAF.format(names=names))
        openssl("req", *_KEY, *subject, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", f"{name}.cnf", "-out", f"{name}.pem",
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    return Authority(
        folder / "ca.pem",
        server("server", "DNS:gateway.test,DNS:localhost,IP:127.0.0.1"),
        server("other", "DNS:other.example"),
    )
