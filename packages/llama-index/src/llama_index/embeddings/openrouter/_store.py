"""LlamaIndex's `embeddings_cache` as the core's cache."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llama_index.core.storage.kvstore.types import BaseKVStore

_COLLECTION = "openrouter_embeddings"


@dataclass(frozen=True)
class StoreCache:
    """Keeps embeddings in a key-value store, under the core's own keys: the base class would key by the text alone."""

    store: BaseKVStore

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return what the store has."""
        found = {key: self.store.get(key.hex(), collection=_COLLECTION) for key in keys}
        return {key: b64decode(value["float32"]) for key, value in found.items() if value is not None}

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Store all."""
        rows = [(key.hex(), {"float32": b64encode(row).decode()}) for key, row in items.items()]
        self.store.put_all(rows, collection=_COLLECTION)
