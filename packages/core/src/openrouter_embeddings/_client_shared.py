"""What the two colours of a client share, and each copy that is not deep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ._fork import Lock
from ._learned import first_lessons
from .cache import open_cache
from .gateways import Gateway
from .options import Options
from .profiles import profile_for
from .usage import Usage, count_usage

if TYPE_CHECKING:
    from ._drive import World
    from ._job import Job
    from .inputs import Input, InputType, Progress
    from .results import Partial

try:
    _VERSION = version("openrouter-embeddings")
except PackageNotFoundError:  # pragma: no cover - run from a source tree that is not installed
    _VERSION = "0"


class Shared:
    """What both colours of a client share: options, limits, what was learnt, connections, totals."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.profile = profile_for(options.model)
        self._lock = Lock()
        self._usage = Usage()
        self._address: str | None = None
        self.built: World | None = None
        self.learned = first_lessons(options, self.profile)

    def address(self) -> str:
        """Return the base URL, settled at first use: what is cached under it must be what it answered."""
        if self._address is None:
            self._address = self.options.address()
        return self._address

    def gateway(self) -> Gateway:
        """Return the gateway at the address that is used."""
        address = self.address()
        service = self.options.service
        return service if address == service.base_url else service.at(address)

    def prepare(
        self,
        inputs: Iterable[Input],
        side: InputType,
        *,
        resume: Partial | None = None,
        on_progress: Progress | None = None,
    ) -> Job:
        """Return the job that embeds these inputs."""
        from ._prepare import prepare

        return prepare(
            self.options,
            self.learned,
            inputs,
            side,
            resume=resume,
            on_progress=on_progress,
            address=self.address,
            flights=self.world().flights,
        )

    def world(self) -> World:
        """Return what the flows act on, built at first use."""
        with self._lock:
            if self.built is None:
                self.built = self._build(self.gateway())
            return self.built

    def _build(self, gateway: Gateway) -> World:
        # httpx and what else it takes to speak to a gateway load with the first request, not with the import.
        from ._drive import World
        from ._drive_cache import Store
        from ._drive_flights import Flights
        from ._drive_http import Http
        from ._limits import Limits

        options = self.options
        limits = Limits(
            most=options.max_concurrency, max_cost=options.max_cost, settled=self.learned.encoding is not None
        )
        http = Http(
            headers=self._headers,
            secret=lambda: options.key(required=False),
            timeout=options.timeout,
            tls=gateway.embeddings_url.startswith("https:"),
            connections=options.max_concurrency,
            http_client=options.http_client,
            async_http_client=options.async_http_client,
        )
        return World(
            limits=limits,
            http=http,
            url=gateway.embeddings_url,
            store=Store(open_cache(options.cache)),
            flights=Flights(),
        )

    def _headers(self, keyed: bool) -> Mapping[str, str]:
        """Return the headers of one request. The key is read for each, and kept in none."""
        options = self.options
        key = options.key(required=False) if keyed else ""
        headers = {
            "authorization": f"Bearer {key}" if key else None,
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "user-agent": f"openrouter-embeddings/{_VERSION}",
            "http-referer": options.app_url,
            "x-openrouter-title": options.app_title,
            "x-openrouter-categories": ",".join(options.app_categories or ()) or None,
            "x-session-id": options.session_id,
            "x-openrouter-cache": "true" if options.server_cache else None,
            "x-openrouter-cache-ttl": str(options.server_cache) if options.server_cache else None,
        }
        known = {name: value for name, value in headers.items() if value is not None}
        return known | {name.lower(): value for name, value in (options.extra_headers or {}).items()}

    def add(self, usage: Usage) -> None:
        """Add to the running totals, and to those of the `track_usage` blocks around the call."""
        with self._lock:
            self._usage += usage
        count_usage(usage)

    @property
    def usage(self) -> Usage:
        """The running totals."""
        return self._usage
