"""What a user holds: `Client` and `AsyncClient`, their calls, streams and shared queries."""

from .base import _rebuilt, one_per_process
from .clients import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "_rebuilt", "one_per_process"]
