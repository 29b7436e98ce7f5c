"""A handle on a gateway that runs in a process of its own."""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from .settings import GatewayOptions, Settings

_READY = re.compile(r"http://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as the gateway received it. Times are seconds since the epoch.

    In `headers`, names are lower case; `authorization` says only `present` or `absent`, and
    `authorization_sha256` is the digest of the key, where one came. `server_cached` says that the answer came from
    the gateway's response cache.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    status: int | None
    inputs: int
    paid: int
    server_cached: bool
    started: float
    ended: float | None
    connection: str


class LocalGateway:
    """A real server on loopback. It stops with `stop()`, at the end of a `with`, and when this process ends.

    Args:
        port: Where to listen; 0 takes a free port.
        api_key: The one key to accept. None: any.
        ready_timeout: Seconds until a gateway that does not get ready is an error.
        settings: Models to add, limits and faults; see `GatewayOptions`.

    Raises:
        ValueError: A setting is unknown or out of its range.
        RuntimeError: The gateway did not start.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        api_key: str | None = None,
        ready_timeout: float = 60.0,
        **settings: Unpack[GatewayOptions],
    ) -> None:
        command = [sys.executable, "-m", "openrouter_embeddings_gateway", "--port", str(port), "--exit-with-stdin"]
        command += Settings().changed(settings).to_arguments()
        if api_key is not None:
            command += ["--api-key", api_key]
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        atexit.register(self.stop)
        self.base_url = self._wait_until_ready(ready_timeout)
        """Where the API is, as a client's `base_url`: `http://127.0.0.1:PORT/api/v1`."""
        self._control = httpx.Client(base_url=self.base_url.removesuffix("/api/v1"), trust_env=False, timeout=30.0)

    @classmethod
    def start(cls, port: int = 0, *, api_key: str | None = None, **settings: Unpack[GatewayOptions]) -> Self:
        """Return a gateway that is ready to answer; port 0 takes a free one."""
        return cls(port, api_key=api_key, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"LocalGateway(base_url={self.base_url!r})"

    def _wait_until_ready(self, seconds: float) -> str:
        assert self._process.stdout is not None
        # A process that neither speaks nor ends is killed, which ends the wait for its line.
        watch = threading.Timer(seconds, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            line = self._process.stdout.readline().decode()
        finally:
            watch.cancel()
        found = _READY.search(line)
        if found is None:
            self.stop()
            raise RuntimeError("The local gateway did not start; its own words are on standard error.")
        return found.group()

    def stop(self) -> None:
        """End the process and wait for it. Does nothing the second time, nor in a forked child."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        if hasattr(self, "_control"):
            self._control.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # ------------------------------------------------------------------------------------------------------ control

    def trouble(
        self,
        kind: str,
        *,
        times: int | None = 1,
        after: int = 0,
        only_if_contains: str | None = None,
        **options: Any,
    ) -> None:
        """Make the next embedding requests meet trouble.

        Args:
            kind: What happens; an unknown kind raises an error that lists them.
            times: How often; None for ever.
            after: How many requests pass first.
            only_if_contains: Only requests with this in one of their texts count.
            options: What the kind takes, such as `status=429, retry_after=1`.

        Raises:
            ValueError: There is no such kind, or it takes no such option.
        """
        rule = {"kind": kind, "times": times, "after": after, "only_if_contains": only_if_contains, **options}
        self._post("troubles", rule)

    def configure(self, **settings: Unpack[GatewayOptions]) -> None:
        """Set the settings that are named, until the next reset; the others stay as they are.

        Raises:
            ValueError: A setting is unknown or out of its range.
        """
        self._post("settings", settings)

    def settings(self) -> Mapping[str, Any]:
        """Return the settings that hold now."""
        held: Mapping[str, Any] = self._get("settings")
        return held

    def requests(self) -> list[Received]:
        """Return every request since the last reset, oldest first."""
        return [Received(**request) for request in self._get("requests")]

    def embedding_requests(self) -> list[Received]:
        """Return the requests for embeddings, oldest first."""
        return [
            request for request in self.requests() if request.path.endswith("/embeddings") and request.method == "POST"
        ]

    def usage(self) -> Mapping[str, Any]:
        """Return what was asked for embeddings and paid for since the last reset.

        The mapping holds `requests`, `refused` (answered with an error status), `paid_inputs`, `tokens`, `cost` in USD,
        `in_flight` and `max_in_flight`, and under `models` the same for each model id that was asked for.
        """
        used: Mapping[str, Any] = self._get("usage")
        return used

    def paid_inputs(self) -> int:
        """Return how many inputs were answered as they should be."""
        return int(self.stats()["paid_inputs"])

    def max_in_flight(self) -> int:
        """Return the most requests that were under way at one time."""
        return int(self.stats()["max_in_flight"])

    def stats(self) -> Mapping[str, Any]:
        """Return the totals since the last reset, and the name of the model that serves."""
        found: Mapping[str, Any] = self._get("stats")
        return found

    def reset(self) -> None:
        """Drop trouble that has not struck, the log, the usage and the kept answers; settings are those of the start."""
        self._post("reset", {})

    def _post(self, what: str, body: Mapping[str, Any]) -> None:
        answer = self._control.post(f"/_control/{what}", json=body)
        if answer.status_code == 400:
            raise ValueError(answer.json()["error"])
        answer.raise_for_status()

    def _get(self, what: str) -> Any:
        return self._control.get(f"/_control/{what}").raise_for_status().json()
