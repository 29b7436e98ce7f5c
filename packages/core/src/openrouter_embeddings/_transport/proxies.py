"""Which way a request takes: straight, or through a proxy that the environment names."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.gateways import is_host

_SCHEMES = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one gateway.

    Attributes:
        proxy: The proxy's address without credentials, or None.
        credentials: User and password for it, or None.
    """

    proxy: str | None = None
    credentials: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def proxy_name(self) -> str:
        """The proxy's host and port, for messages: no password is in it."""
        return "" if self.proxy is None else urlsplit(self.proxy).netloc

    @property
    def is_socks(self) -> bool:
        """Whether the proxy speaks SOCKS, not HTTP."""
        return self.proxy is not None and self.proxy.startswith("socks")


def route_to(url: str) -> Route:
    """Return the way to an address, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` or the system's settings.

    Raises:
        ConfigurationError: The proxy cannot be used. Its address is not shown: it may hold a password.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or "") or proxy_bypass(parts.netloc):
        return Route()
    return _route_through(proxy if "://" in proxy else f"http://{proxy}")


def _route_through(proxy: str) -> Route:
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        raise unusable("its address cannot be read") from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise unusable("its address does not begin with http://, https:// or socks5://")
    if not is_host(parts.hostname):
        raise unusable("its address holds no name that a host can have")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    words = (parts.username or "", parts.password or "")
    credentials = (unquote_to_bytes(words[0]), unquote_to_bytes(words[1])) if parts.username else None
    return Route(f"{parts.scheme}://{host}:{port or _SCHEMES[parts.scheme]}", credentials)


def unusable(why: str) -> ConfigurationError:
    """Return the error for a proxy of the environment that cannot be used."""
    return ConfigurationError(
        f"A proxy that the environment names cannot be used: {why}. Correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or"
        " name the gateway in NO_PROXY."
    )
