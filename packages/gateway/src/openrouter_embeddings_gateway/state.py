"""What a running gateway holds: its model, its settings, what was scripted, and what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .catalog import Catalog
from .embed import Embedder
from .faults import Faults
from .model import Model
from .received import Log
from .response_cache import ResponseCache
from .settings import Settings
from .traffic import Traffic
from .troubles import Troubles


class State:
    """Everything that requests share. A reset brings back the state at the start."""

    def __init__(self, settings: Settings, model: Model, api_key: str | None) -> None:
        self.model, self.api_key = model, api_key
        self.embedder = Embedder(model)
        self.log = Log()
        self.troubles = Troubles()
        self.cache = ResponseCache()
        self._at_start = settings
        self._begin()

    def _begin(self) -> None:
        self.settings = self._at_start
        self.catalog = Catalog(self.settings)
        # Requests that are under way leave the traffic that they entered.
        self.traffic = Traffic(self.settings)
        self.faults = Faults()

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Set the settings that are named, until the next reset; a wrong one is a ValueError."""
        self.settings = self.settings.changed(changes)
        self.catalog = Catalog(self.settings)
        self.traffic.limit(self.settings)

    def reset(self) -> None:
        """Drop scripted trouble, log, usage, kept answers and changed settings."""
        self.log.clear()
        self.troubles.clear()
        self.cache.clear()
        self._begin()
