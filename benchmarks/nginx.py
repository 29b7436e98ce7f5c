"""nginx in front of the server, as an edge is in front of a gateway: TLS, gzip, connections kept alive both ways.

It is an ordinary process with a configuration, a certificate and logs of its own in the run's folder, and ends with it.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from daemons import found, free_port, nginx
from harness import Server

# Answers stay in memory, however large.
_HTTP = """
    log_format bytes '$body_bytes_sent';
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
        location / {{ proxy_pass http://server; }}
        location /api/ {{
            access_log {folder}/nginx-bytes.log bytes;
            proxy_pass http://server;
        }}
    }}
"""


def is_missing() -> str:
    """Return what is not installed, or nothing."""
    return " and ".join(name for name in ("nginx", "openssl") if found(name) is None)


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
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}/api/v1"
        self._nginx = nginx(folder, self.port, _HTTP.format(folder=folder, port=self.port, server_port=server.port))

    def stop(self) -> None:
        """End nginx; the server behind goes on."""
        self._nginx.stop()

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


def _certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself, and return its file."""
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    for extension in ("subjectAltName=IP:127.0.0.1,DNS:localhost", "keyUsage=critical,digitalSignature,keyCertSign"):
        command += ["-addext", extension]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate
