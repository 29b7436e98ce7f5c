"""A local gateway that speaks the OpenRouter Embeddings API over a real model.

`LocalGateway` starts it in a process of its own; `openrouter-embeddings-gateway` starts it from a shell.
"""

from __future__ import annotations

from .handle import LocalGateway, Received
from .settings import GatewayOptions

__all__ = ["GatewayOptions", "LocalGateway", "Received"]
