"""What is saved rebuilds the same embeddings; no key and no tuning is in it."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from typing import Any

import httpx
import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.schema import TextNode

from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import OPENROUTER, Gateway, MemoryCache, SqliteCache

CANARY = "sk-or-canary-5150"
TUNING: dict[str, Any] = {
    "embed_batch_size": 7,
    "num_workers": 2,
    "max_concurrency": 3,
    "batch_size": 9,
    "timeout": 11.0,
    "max_retries": 2,
    "retry_timeout": 12.0,
    "max_cost": 1.0,
    "user": "somebody",
    "app_title": "An app",
    "extra_headers": {"x-secret": CANARY},
}


def test_a_dump_holds_what_names_the_embeddings_and_nothing_else(make, embeddings_gateway):
    embedder = make(provider={"zdr": True}, query_prefix="", normalize=True, extra_body={"new": None}, **TUNING)
    saved = {
        "class_name": "OpenRouterEmbedding",
        "model_name": "openai/text-embedding-3-small",
        "dimensions": 64,
        "base_url": embeddings_gateway.base_url,
        "provider": {"zdr": True},
        "query_prefix": "",
        "normalize": True,
        "extra_body": {"new": None},
    }
    assert embedder.to_dict() == saved
    assert json.loads(embedder.to_json()) == saved


def test_a_dump_comes_back_through_load_embed_model(make, monkeypatch):
    embedder = make(provider={"order": ["deepinfra"]}, document_prefix="passage: ")
    before = embedder.get_text_embedding("a text")
    monkeypatch.setenv("OPENROUTER_API_KEY", "another-key")
    loaded = load_embed_model(json.loads(embedder.to_json()))
    assert isinstance(loaded, OpenRouterEmbedding)
    assert loaded.to_dict() == embedder.to_dict()
    assert loaded.get_text_embedding("a text") == before
    assert OpenRouterEmbedding.from_dict(embedder.to_dict()).to_dict() == embedder.to_dict()
    assert OpenRouterEmbedding.model_validate(embedder.model_dump()).to_dict() == embedder.to_dict()


@pytest.mark.parametrize("first", ["llama_index.embeddings.openrouter", "llama_index.core.embeddings.loading"])
def test_the_class_is_known_by_its_name_whichever_module_comes_first(first):
    script = f"""
import {first}
from llama_index.embeddings.openrouter import OpenRouterEmbedding
from llama_index.core.embeddings.loading import load_embed_model
print(type(load_embed_model({{"class_name": OpenRouterEmbedding.class_name(), "model_name": "m"}})).__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "OpenRouterEmbedding"


def test_importing_the_class_imports_no_other_providers():
    script = (
        "import sys; import llama_index.embeddings.openrouter;"
        "sys.exit(', '.join(name for name in sys.modules if name == 'llama_index.core.embeddings.loading'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_file_loads_without_a_key(make):
    saved = make(api_key=None).to_dict()
    assert load_embed_model(saved).to_dict() == saved


def test_an_address_of_the_environment_is_in_the_dump_and_is_looked_up_again_when_it_is_loaded(make, monkeypatch):
    """The dump names the embeddings; where the next object finds its server is the next environment's business."""
    local, other = "http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"
    assert "address" not in make(base_url=None).to_dict()
    monkeypatch.setenv("OPENROUTER_API_BASE", local)
    saved = make(base_url=None).to_dict()
    assert saved["address"] == local
    assert "base_url" not in saved
    assert load_embed_model(dict(saved)).to_dict() == saved
    monkeypatch.setenv("OPENROUTER_API_BASE", other)
    assert load_embed_model(dict(saved)).to_dict()["address"] == other
    monkeypatch.delenv("OPENROUTER_API_BASE")
    assert OpenRouterEmbedding.from_dict(saved).client.gateway.base_url == OPENROUTER.base_url


def test_a_gateway_value_is_saved_and_comes_back(make):
    embedder = make(gateway=OPENROUTER)
    loaded = OpenRouterEmbedding.from_dict(json.loads(embedder.to_json()))
    assert isinstance(loaded.gateway, Gateway)
    assert loaded.gateway == OPENROUTER
    assert embedder.to_payload()["gateway"] == OPENROUTER.name
    assert make(gateway="infron").to_payload()["gateway"] == "infron"


def test_the_pipeline_cache_key_ignores_key_and_tuning(make):
    nodes = [TextNode(text="a text")]
    key = get_transformation_hash(nodes, make())
    assert get_transformation_hash(nodes, make(**TUNING, api_key="another")) == key
    assert get_transformation_hash(nodes, make(dimensions=32)) != key
    assert get_transformation_hash(nodes, make(provider={"zdr": True})) != key


def test_a_literal_key_travels_in_a_pickle(make, embeddings_gateway):
    embedder = make(**TUNING)
    before = embedder.get_text_embedding("a text")
    twin = pickle.loads(pickle.dumps(embedder))
    assert twin.get_text_embedding("a text") == before
    assert {name: getattr(twin, name) for name in TUNING} == TUNING
    first, second = embeddings_gateway.embedding_requests()
    assert first.headers["authorization_sha256"] == second.headers["authorization_sha256"]


def test_two_that_are_unpickled_share_a_client_and_a_deep_copy_does_not(make):
    embedder = make()
    data = pickle.dumps(embedder)
    first, second = pickle.loads(data), pickle.loads(data)
    assert first.client._state is second.client._state is second.async_client._state
    assert first.client._state is not embedder.client._state
    assert copy.deepcopy(first).client._state is not first.client._state


def test_an_environment_key_does_not(make, monkeypatch, embeddings_gateway):
    monkeypatch.setenv("OPENROUTER_API_KEY", CANARY)
    embedder = make(api_key=None)
    embedder.get_text_embedding("a text")
    data = pickle.dumps(embedder)
    assert CANARY.encode() not in data
    monkeypatch.setenv("OPENROUTER_API_KEY", "another-key")
    pickle.loads(data).get_text_embedding("a text")
    first, second = embeddings_gateway.embedding_requests()
    assert first.headers["authorization_sha256"] != second.headers["authorization_sha256"]


def test_pickling_leaves_the_object_as_it_was(make, caplog):
    """The base class strikes what cannot be pickled from the living object; ours keeps it."""
    with httpx.Client() as http_client:
        embedder = make(http_client=http_client, api_key=lambda: CANARY)
        with caplog.at_level("CRITICAL"):
            twin = pickle.loads(pickle.dumps(embedder))
        assert embedder.http_client is http_client
        assert len(embedder.get_text_embedding("a text")) == 64
    assert twin.http_client is None
    assert twin.api_key is None


def test_deep_copies_work_after_use(make):
    with httpx.Client() as http_client:
        for embedder in (make(), make(http_client=http_client)):
            before = embedder.get_text_embedding("a text")
            twin = copy.deepcopy(embedder)
            assert twin.client is not embedder.client
            assert twin.to_dict() == embedder.to_dict()
            assert twin.get_text_embedding("a text") == before
            assert twin.http_client is embedder.http_client
            assert copy.copy(embedder).get_text_embedding("a text") == before


class Everything(BaseEventHandler):
    """Keeps what every event says of itself."""

    seen: list[str] = Field(default_factory=list)

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(repr(event) + event.model_dump_json())


async def test_no_key_in_dumps_repr_events_callbacks_and_logs(make, caplog):
    handler = Everything()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embedder = make(callback_manager=CallbackManager([debug]), **TUNING)
    try:
        with caplog.at_level("DEBUG"):
            embedder.get_text_embedding_batch(["a text"])
            embedder.get_query_embedding("a text")
            await embedder.aget_text_embedding_batch(["a text"])
            with pytest.raises(ValueError):
                embedder._get_text_embeddings(["an input text", ""])
    finally:
        dispatcher.event_handlers.remove(handler)
    assert len(handler.seen) >= 6
    payloads = repr([event.payload for pair in debug.get_event_pairs(CBEventType.EMBEDDING) for event in pair])
    surfaces = [repr(embedder), str(embedder), repr(embedder.to_dict()), repr(embedder.model_dump()), payloads]
    for surface in [*surfaces, embedder.to_json(), repr(embedder.to_payload()), *handler.seen, caplog.text]:
        assert "canary" not in surface
    assert "an input text" not in caplog.text


def test_repr_and_payload_say_what_is_asked_for(make):
    embedder = make(provider={"zdr": True})
    assert repr(embedder) == (
        "OpenRouterEmbedding(model_name='openai/text-embedding-3-small', embed_batch_size=8192, dimensions=64, "
        "provider={'zdr': True})"
    )
    assert embedder.to_payload() == {
        "class_name": "OpenRouterEmbedding",
        "model_name": "openai/text-embedding-3-small",
        "embed_batch_size": 8192,
        "dimensions": 64,
        "provider": {"zdr": True},
    }


@pytest.mark.parametrize("kind", ["path", "sqlite", "memory"])
def test_a_cache_is_in_no_dump_and_names_no_embedding(make, tmp_path, kind):
    file = tmp_path / "e.sqlite"
    cache = {"path": lambda: str(file), "sqlite": lambda: SqliteCache(file), "memory": MemoryCache}[kind]()
    embedder = make(cache=cache)
    for shown in (embedder.to_dict(), embedder.to_json(), embedder.model_dump(), embedder.to_payload(), repr(embedder)):
        assert "cache" not in str(shown)
        assert str(file) not in str(shown)
    node = TextNode(text="a")
    assert get_transformation_hash([node], embedder) == get_transformation_hash([node], make())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=[
    "copy", "deepcopy", "pickle",
])  # fmt: skip
def test_a_copy_uses_the_same_file(make, embeddings_gateway, tmp_path, copied):
    for cache in (str(tmp_path / "one.sqlite"), SqliteCache(tmp_path / "other.sqlite")):
        embedder = make(cache=cache)
        embedder.get_text_embedding("a")
        assert copied(embedder).get_text_embedding("a") == embedder.get_text_embedding("a")
    assert embeddings_gateway.paid_inputs() == 2
