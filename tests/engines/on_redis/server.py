"""A server process that may be killed and started again at its port."""

from __future__ import annotations

from pathlib import Path

from ...support.daemons import Daemon, found, free_port

PASSWORD = "p4ss/w0rd"


def program():
    """Return where a server's program is, or None."""
    return found("redis-server") or found("valkey-server")


class Server:
    """Redis or Valkey, keeping nothing on the disk.

    Args:
        folder: For its log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemon: Daemon | None = None
        self.port = free_port()
        self.url = f"redis://:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the process unless it runs."""
        if self._daemon is None:
            options = {"port": self.port, "bind": "127.0.0.1", "save": "", "requirepass": PASSWORD, "dir": self._folder}
            command = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
            self._daemon = Daemon([program(), *command], self.port, log=self._folder / "log")

    def stop(self) -> None:
        """End the process; it forgets everything."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop()

    def client(self):
        """Return a client of redis-py's."""
        import redis

        return redis.Redis.from_url(self.url)
