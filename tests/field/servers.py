"""The real servers, each started with the least configuration that does what a test is about."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.daemons import Daemon, found, free_port, nginx
from ..support.sockets import Served, serving, tunnel

SERVERS_VARIABLE = "OPENROUTER_EMBEDDINGS_FIELD"
"""Names the folder in which the session has installed the servers that are Python packages."""
USER, PASSWORD = "field", "right-word"
_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue {queue}
frontend front
    bind 127.0.0.1:{port}
{rules}
    default_backend gateway
backend gateway
    server gateway {upstream} maxconn {most}
"""
_SQUID = """
http_port 127.0.0.1:{port}
visible_hostname field
pid_filename {folder}/squid.pid
cache_log {folder}/squid.log
access_log none
cache deny all
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
cache_effective_user nobody
auth_param basic program {helper} {folder}/passwords
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""
_TINYPROXY = """
Port {port}
Listen 127.0.0.1
MaxClients 100
BasicAuth {user} {password}
"""


def needed(name: str) -> str:
    """Return where a program is; skip the test without it."""
    program = found(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    return program


def installed(environment: str, program: str) -> Path:
    """Return a program that the session has installed; skip the test without it."""
    folder = Path(os.environ[SERVERS_VARIABLE]) / environment
    found_at = folder / "bin" / program
    if not found_at.exists():
        pytest.skip(f"{environment} could not be installed")
    return found_at


@contextlib.contextmanager
def run(daemon: Daemon) -> Iterator[Daemon]:
    """Stop a daemon at the end."""
    try:
        yield daemon
    finally:
        daemon.stop()


def start_nginx(folder: Path, upstream: str, *, http: str = "", server: str = "", listen: str = "") -> Daemon:
    """Start nginx before the upstream, with what is added to its `http`, its `server` and its `listen`."""
    needed("nginx")
    port = free_port()
    location = f"location / {{ proxy_pass http://{upstream}; }}"
    return nginx(folder, port, f"{http}\nserver {{ listen 127.0.0.1:{port} {listen};\n{server}\n{location} }}")


def start_haproxy(folder: Path, upstream: str, *, rules: str = "", most: int = 100, queue: str = "60s") -> Daemon:
    """Start HAProxy before the upstream, with rules for its frontend and at most so many requests at once behind."""
    program, port, configuration = needed("haproxy"), free_port(), folder / "haproxy.cfg"
    configuration.write_text(_HAPROXY.format(port=port, upstream=upstream, rules=rules, most=most, queue=queue))
    return Daemon([program, "-f", str(configuration)], port, log=folder / "haproxy.log")


@contextlib.contextmanager
def proxy(name: str) -> Iterator[Daemon]:
    """Run squid or tinyproxy, which let in who knows the password."""
    program, port = needed(name), free_port()
    with tempfile.TemporaryDirectory() as created:
        folder = Path(created)
        command = _squid(program, folder, port) if name == "squid" else _tinyproxy(program, folder, port)
        with run(Daemon(command, port, log=folder / "output")) as daemon:
            yield daemon


def counted(daemon: Daemon) -> contextlib.AbstractContextManager[Served]:
    """Count the connections to a daemon, which are made to another port."""
    return serving(lambda connection, served: tunnel(connection, daemon.port))


def _squid(program: str, folder: Path, port: int) -> list[str]:
    helper = next(Path("/usr").glob("lib*/squid/basic_ncsa_auth"), None)
    if helper is None:
        pytest.skip("squid's basic_ncsa_auth is not installed")
    hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True).stdout
    (folder / "passwords").write_text(f"{USER}:{hashed}")
    (folder / "squid.conf").write_text(_SQUID.format(port=port, folder=folder, helper=helper))
    if os.geteuid() == 0:  # squid does not go on as root
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")
    return [program, "-N", "-f", str(folder / "squid.conf")]


def _tinyproxy(program: str, folder: Path, port: int) -> list[str]:
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(_TINYPROXY.format(port=port, user=USER, password=PASSWORD))
    return [program, "-d", "-c", str(configuration)]
