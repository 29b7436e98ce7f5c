"""What a user holds: `Client` and `AsyncClient`, their calls, streams and shared queries."""

from .clients import AsyncClient, Client, _rebuilt

__all__ = ["AsyncClient", "Client", "_rebuilt"]
