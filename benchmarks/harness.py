"""Starts the server and the clients, lets clients take turns, and keeps medians."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from catalogue import Subject

HERE = Path(__file__).parent
# Whatever the shell has set for a gateway, a key or a proxy must not reach a client: the server is on loopback. Nor must
# what is set for Python: without bytecode on the disk a client that starts would compile all it imports.
_NOT_OURS = ("PYTHON", "OPENROUTER_", "OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "INFRON_")


def clean_environment() -> dict[str, str]:
    """Return the environment for a client."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_NOT_OURS)}
    return kept | {"NO_PROXY": "*", "HAYSTACK_TELEMETRY_ENABLED": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


class Server:
    """The server's process."""

    environment: Mapping[str, str] = {}
    """What a client's environment holds besides."""

    def __init__(self, python: Path, dimensions: int, folder: Path) -> None:
        self.dimensions = dimensions
        self.table = folder / f"table-{dimensions}.f32"
        command = [str(python), str(HERE / "server.py"), "--dimensions", str(dimensions), "--table", str(self.table)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        self.url = f"http://127.0.0.1:{self.port}/api/v1"

    def control(self, **settings: float) -> None:
        """Say how requests are answered from now on, and start the counters anew."""
        self.get(f"/control?{urlencode(settings)}")

    def change(self, **settings: float) -> float:
        """Change what `control` said and keep the counters; return when, by the server's clock."""
        return float(self.get(f"/change?{urlencode(settings)}")["now"])

    def stats(self) -> dict[str, Any]:
        """Return the counters since `control`."""
        return self.get("/stats")

    def times(self) -> dict[str, list[float]]:
        """Return when requests landed and when they were refused since `control`."""
        return self.get("/times")

    def get(self, target: str) -> dict[str, Any]:
        """Return what the server says about itself."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}{target}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Failed(Exception):
    """A client could not do what it was told, or got wrong numbers."""


class Client:
    """A worker process."""

    def __init__(self, subject: Subject, python: Path, server: Server) -> None:
        self.subject, self.server = subject, server
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [str(python), str(HERE / "worker.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, bufsize=1, env=clean_environment() | dict(server.environment),
        )  # fmt: skip
        self.do(
            "open", module=subject.module, name=subject.kind, url=server.url, table=str(server.table),
            dimensions=server.dimensions, options=subject.options,
        )  # fmt: skip

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Have one command done; raise `Failed` with what the client said if it cannot."""
        self.begin(what, **arguments)
        return self.outcome()

    def outcome(self) -> dict[str, Any]:
        """Wait for the end of what was begun, and return what came of it; raise `Failed` likewise."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": self._last_words()}
        if "failed" in answer:
            raise Failed(f"{self.subject.label}: {answer['failed']}")
        return answer

    def begin(self, what: str, **arguments: Any) -> None:
        """Have one command begun, and do not wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")

    def _last_words(self) -> str:
        self._log.seek(0)
        return "the process ended: " + " | ".join(self._log.read().strip().splitlines()[-3:])

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._log.close()


class Bench:
    """What a row works with."""

    def __init__(self, pythons: dict[str, Path], absent: dict[str, str], *, quick: bool, folder: Path) -> None:
        self.pythons, self.absent, self.quick = pythons, absent, quick
        self.failures: dict[str, str] = {}
        self._servers: dict[int, Server] = {}
        self.folder = folder

    def server(self, dimensions: int = 1536) -> Server:
        """Return the server for this width, started at first use."""
        if dimensions not in self._servers:
            self._servers[dimensions] = Server(self.pythons["core"], dimensions, self.folder)
        return self._servers[dimensions]

    def stop(self) -> None:
        """Stop the servers."""
        for server in self._servers.values():
            server.stop()

    @contextmanager
    def clients(self, subjects: Iterable[Subject], server: Server, *, check: int = 20) -> Iterator[list[Client]]:
        """Start the clients and compare their results with the truth. Who cannot is named in `failures` and left out."""
        started: list[Client] = []
        server.control()
        try:
            for subject in subjects:
                if subject.env in self.absent and subject.module == "peers":
                    self.failures[subject.label] = f"not installed: {self.absent[subject.env]}"
                    continue
                client: Client | None = None
                try:
                    client = Client(subject, self.pythons[subject.env], server)
                    client.do("check", count=check)
                except Failed as failed:
                    if client is not None:
                        client.stop()
                    self._left_out(subject, failed)
                    continue
                started.append(client)
            yield started
        finally:
            for client in started:
                client.stop()

    def rounds(
        self, clients: list[Client], turns: int, what: str, settings: dict[str, float], **arguments: Any
    ) -> dict[str, dict[str, Any]]:
        """Let the clients take turns, A B C A B C, and return for each the medians of what it reported."""
        found: dict[str, list[dict[str, Any]]] = {}
        for turn in range(turns):
            for client in clients:
                if turn and client.subject.label not in found:
                    continue
                client.server.control(**settings)
                try:
                    answer = client.do(what, **arguments)
                except Failed as failed:
                    found.pop(client.subject.label, None)
                    self._left_out(client.subject, failed)
                    continue
                seen = client.server.stats()
                answer |= {"requests": seen["requests"], "refused": seen["refused"], "server_cpu": seen["cpu"]}
                answer |= {"most_in_flight": seen["most_in_flight"], "wire_bytes": seen["wire_bytes"]}
                found.setdefault(client.subject.label, []).append(answer)
        return {label: medians(answers) for label, answers in found.items()}

    def _left_out(self, subject: Subject, failed: Failed) -> None:
        print(f"  left out: {failed}", file=sys.stderr)
        self.failures[subject.label] = str(failed)


def medians(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each number; of anything else, the last. `cpu_each` keeps the CPU of each turn."""
    out: dict[str, Any] = {}
    for name, last in answers[-1].items():
        numbers = isinstance(last, (int, float)) and not isinstance(last, bool)
        out[name] = median(one[name] for one in answers) if numbers else last
    return out | {"rounds": len(answers), "cpu_each": [one.get("cpu") for one in answers]}
