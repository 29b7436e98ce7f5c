"""Servers that are installed on this machine, each run as an ordinary process with a folder of its own.

Imported by the benchmarks, too, in an environment without the tests' packages: standard library only.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_NGINX = """
daemon off;
# In one process, so that ending it ends all of it.
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
{http}
}}
"""


class Daemon:
    """A process that listens at a port of this machine.

    Args:
        command: Starts it in the foreground.
        port: Where it listens.
        log: Where its output goes; None: where ours goes.
        environment: Of the process; None: ours.
        seconds: What its start may take.

    Raises:
        RuntimeError: It did not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = 10.0,
    ) -> None:
        self.port = port
        self._output = None if log is None else log.open("wb")
        self._process = subprocess.Popen(command, stdout=self._output, stderr=self._output, env=environment)
        self._wait_until_open(Path(command[0]).name, seconds)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._output is not None:
            self._output.close()

    def _wait_until_open(self, name: str, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"{name} did not start; its output says why.")


def nginx(folder: Path, port: int, http: str) -> Daemon:
    """Start nginx with what stands in its `http` block."""
    configuration, log = folder / "nginx.conf", folder / "nginx-error.log"
    configuration.write_text(_NGINX.format(folder=folder, http=http), encoding="utf-8")
    return Daemon([found("nginx") or "nginx", "-e", str(log), "-p", str(folder), "-c", str(configuration)], port)


def found(name: str) -> str | None:
    """Return where a program is, or None. Servers are in folders that a user's PATH may lack."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
