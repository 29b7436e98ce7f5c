"""nginx in front of the server, as an edge is in front of a gateway: TLS, gzip, connections kept alive both ways.

It is an ordinary process with a configuration, a certificate and logs of its own in the run's folder, and ends with it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from harness import Server

_SECONDS_TO_START = 10.0
# In one process, so that ending it ends all of it. Answers stay in memory, however large.
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    log_format bytes '$body_bytes_sent';
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 64m;
    client_body_buffer_size 8m;
    proxy_buffers 512 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 1m;
    proxy_max_temp_file_size 0;
    keepalive_requests 1000000;
    gzip on;
    gzip_types application/json;
    upstream server {{
        server 127.0.0.1:{server_port};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://server; }}
        location /api/ {{
            access_log {folder}/nginx-bytes.log bytes;
            proxy_pass http://server;
        }}
    }}
}}
"""


def is_missing() -> str:
    """Return what is not installed, or nothing."""
    return " and ".join(name for name in ("nginx", "openssl") if _found(name) is None)


class Edge(Server):
    """The server behind nginx.

    Args:
        server: What stands behind it, and keeps the counters.
        folder: Where the configuration, the certificate and the logs go.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.dimensions, self.table = server.dimensions, server.table
        self._behind = server
        self._log = folder / "nginx-bytes.log"
        self._logged = 0
        certificate = _certificate(folder)
        # Each client reads one of these, with the certificates it trusts.
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        self.environment = dict.fromkeys(names, str(certificate))
        port = _free_port()
        configuration = folder / "nginx.conf"
        text = _CONFIGURATION.format(folder=folder, port=port, server_port=server.port)
        configuration.write_text(text, encoding="utf-8")
        self._process = subprocess.Popen(
            [str(_found("nginx")), "-e", str(folder / "nginx-error.log"), "-p", str(folder), "-c", str(configuration)]
        )
        self.port, self.url = port, f"https://127.0.0.1:{port}/api/v1"
        self._wait_until_open()

    def get(self, target: str) -> dict[str, Any]:
        """Return what the server behind says about itself; `wire_bytes` are those that nginx has sent."""
        answer = self._behind.get(target)
        if target.startswith("/control"):
            self._logged = self._log.stat().st_size
        if "wire_bytes" in answer:
            answer["wire_bytes"] = self._bytes_sent(answer["requests"])
        return answer

    def _bytes_sent(self, requests: int) -> int:
        """Return the bytes of all answers since `control`. A line is written a moment after its answer has left."""
        ends = time.monotonic() + 1.0
        while True:
            lines = self._log.read_bytes()[self._logged :].split()
            if len(lines) >= requests or time.monotonic() > ends:
                return sum(map(int, lines))
            time.sleep(0.01)

    def _wait_until_open(self) -> None:
        ends = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError("nginx did not start; it says why above")


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself, and return its file."""
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    for extension in ("subjectAltName=IP:127.0.0.1,DNS:localhost", "keyUsage=critical,digitalSignature,keyCertSign"):
        command += ["-addext", extension]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
