"""Pictures and texts in one index: by `OpenRouterMultiModalEmbedding`, through the local gateway."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.schema import ImageNode, TextNode
from PIL import Image

from llama_index.embeddings.openrouter import OpenRouterEmbedding, OpenRouterMultiModalEmbedding
from openrouter_embeddings import ConfigurationError, ImagePart, InputError, InsufficientCreditsError

SEES = "google/gemini-embedding-2"
COLOURS = {"red": (200, 30, 30), "green": (40, 150, 60), "blue": (120, 180, 235)}
ASKED_FOR = {"a red car": "red", "green grass": "green", "blue sky": "blue"}

Make = Callable[..., OpenRouterMultiModalEmbedding]


@pytest.fixture
def make(embeddings_gateway: Any) -> Make:
    """Make an embedder of a model that sees."""

    def made(**options: Any) -> OpenRouterMultiModalEmbedding:
        base = {"model_name": SEES, "api_key": "sk-or-canary-5150", "base_url": embeddings_gateway.base_url}
        return OpenRouterMultiModalEmbedding(**{**base, **options})

    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """One picture of each colour."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    return {name: str(tmp_path / f"{name}.png") for name in COLOURS}


@pytest.fixture(params=["sync", "async"])
def embed(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a method, once in each colour."""

    def run(model: OpenRouterMultiModalEmbedding, method: str, *args: Any, **options: Any) -> Any:
        if request.param == "sync":
            return getattr(model, method)(*args, **options)
        return asyncio.run(getattr(model, f"a{method}")(*args, **options))

    return run


@pytest.mark.parametrize("use_async", [False, True])
def test_an_index_finds_pictures_by_words_and_by_pictures(make: Make, files: dict[str, str], use_async: bool):
    nodes = [ImageNode(image_path=path, id_=name, metadata={"of": name}) for name, path in files.items()]
    bread = TextNode(text="To bake bread, knead flour and water.", id_="bread")
    model = make()
    index = MultiModalVectorStoreIndex(
        nodes=[*nodes, bread], embed_model=model, image_embed_model=model, use_async=use_async
    )
    retriever = index.as_retriever(image_similarity_top_k=1, similarity_top_k=1)
    for words, name in ASKED_FOR.items():
        assert [hit.node.node_id for hit in retriever.text_to_image_retrieve(words)] == [name]
        assert asyncio.run(retriever.atext_to_image_retrieve(words))[0].node.node_id == name
    for name, path in files.items():
        (hit,) = retriever.image_to_image_retrieve(path)
        assert (hit.node.node_id, round(hit.score or 0, 5)) == (name, 1.0)
        assert asyncio.run(retriever.aimage_to_image_retrieve(path))[0].node.node_id == name
    assert {hit.node.node_id for hit in retriever.retrieve("red bread")} == {"bread", "red"}


def test_a_picture_may_be_given_in_any_way(make: Make, embed: Any, files: dict[str, str]):
    data = Path(files["red"]).read_bytes()
    part = ImagePart.from_bytes(data, "image/png")
    given = [files["red"], Path(files["red"]), data, BytesIO(data), part.url, part]
    rows = embed(make(), "get_image_embedding_batch", given)
    assert all(row == rows[0] for row in rows)
    assert type(rows[0][0]) is float
    assert embed(make(), "get_image_embedding", BytesIO(data)) == rows[0]
    assert make()._get_image_embedding(files["red"]) == rows[0]
    assert asyncio.run(make()._aget_image_embedding(files["red"])) == rows[0]


def test_a_batch_is_one_call_of_the_core(make: Make, embed: Any, files: dict[str, str], embeddings_gateway: Any):
    given = [*files.values()] * 10
    assert len(embed(make(), "get_image_embedding_batch", given)) == 30
    assert embed(make(), "get_image_embedding_batch", []) == []
    (request,) = embeddings_gateway.embedding_requests()
    assert len(request.body["input"]) == 3


def test_what_had_landed_is_not_paid_for_again(make: Make, embed: Any, files: dict[str, str], embeddings_gateway: Any):
    model = make(embed_batch_size=1, num_workers=1)
    embed(model, "get_image_embedding", files["red"])
    embeddings_gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(InsufficientCreditsError, match=r"resume=error\.partial") as caught:
        embed(model, "get_image_embedding_batch", list(files.values()))
    assert caught.value.partial is not None
    assert len(caught.value.partial.positions_done) == 1
    embeddings_gateway.reset()
    rows = embed(model, "get_image_embedding_batch", list(files.values()), resume=caught.value.partial)
    assert len(rows) == 3
    assert len(embeddings_gateway.embedding_requests()) == 2


def test_what_is_no_picture_is_named_before_any_request(
    make: Make, embed: Any, files: dict[str, str], embeddings_gateway: Any
):
    with pytest.raises(InputError, match="get_image_embedding_batch: Input 1: The bytes do not say what") as caught:
        embed(make(), "get_image_embedding_batch", [files["red"], BytesIO(b"no picture")])
    assert caught.value.positions == (1,)
    with pytest.raises(InputError, match=r"get_image_embedding: Input 0: .* https://"):
        embed(make(), "get_image_embedding", "http://example.org/a.png")
    with pytest.raises(OSError, match="nowhere"):
        embed(make(), "get_image_embedding", "nowhere.png")
    with pytest.raises(ConfigurationError, match="batch_size"):
        embed(make(), "get_image_embedding_batch", [files["red"]], chunk_size=3)
    with pytest.raises(InputError, match=r"get_image_embedding: .* takes no image"):
        embed(make(model_name="openai/text-embedding-3-small"), "get_image_embedding", files["red"])
    assert embeddings_gateway.embedding_requests() == []


def test_events_show_what_was_spent_and_no_picture(
    make: Make, embed: Any, files: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    seen = LlamaDebugHandler(print_trace_on_end=False)
    url = ImagePart.of(files["red"]).url
    embed(make(callback_manager=CallbackManager([seen])), "get_image_embedding_batch", [url], show_progress=True)
    ((_, end),) = seen.get_event_pairs(CBEventType.EMBEDDING)
    assert end.payload is not None
    assert end.payload["usage"]["requests"] == 1
    assert end.payload["chunks"] == [f"Content(ImagePart(<data URL, {len(url)} characters>))"]
    assert "1/1" in capsys.readouterr().err


def test_it_is_saved_and_travels_as_the_text_embedder_does(make: Make, files: dict[str, str]):
    model = make(dimensions=128)
    row = model.get_image_embedding(files["red"])
    loaded = load_embed_model({**model.to_dict(), "api_key": "local"})
    assert isinstance(loaded, OpenRouterMultiModalEmbedding)
    for twin in (loaded, pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert type(twin) is OpenRouterMultiModalEmbedding
        assert twin.get_image_embedding(files["red"]) == row
    assert issubclass(OpenRouterMultiModalEmbedding, MultiModalEmbedding)
    assert not isinstance(
        load_embed_model({**model.to_dict(), "class_name": "OpenRouterEmbedding"}), MultiModalEmbedding
    )
    assert OpenRouterEmbedding.class_name() != OpenRouterMultiModalEmbedding.class_name()
