"""Documents that are pictures: found by words, left out by name, and never sent as an empty text."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.converters.image import ImageFileToDocument
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream
from haystack.document_stores.in_memory import InMemoryDocumentStore
from PIL import Image

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder
from openrouter_embeddings import ConfigurationError, InputError, InsufficientCreditsError

from .conftest import UNMARKED

SEES = "google/gemini-embedding-2"
COLOURS = {"red": (200, 30, 30), "green": (40, 150, 60), "blue": (120, 180, 235)}
ASKED_FOR = {"a red car": "red", "green grass": "green", "blue sky": "blue"}

Make = Callable[..., OpenRouterDocumentImageEmbedder]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture of each colour."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def make(gateway: Any, folder: Path) -> Make:
    """Make an embedder of a model that sees."""

    def made(**options: Any) -> OpenRouterDocumentImageEmbedder:
        return OpenRouterDocumentImageEmbedder(**{"model": SEES, "root_path": folder, "progress_bar": False, **options})

    return made


def documents(*names: str) -> list[Document]:
    return [Document(id=name, meta={"file_path": f"{name}.png"}) for name in names or COLOURS]


def test_a_pipeline_finds_the_picture_of_the_named_colour(make: Make, folder: Path, run_pipeline: Any) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    embedder = make()
    index = Pipeline()
    index.add_component("converter", ImageFileToDocument())
    index.add_component("embedder", embedder)
    index.add_component("writer", DocumentWriter(store))
    index.connect("converter", "embedder")
    index.connect("embedder", "writer")
    run_pipeline(index, {"converter": {"sources": sorted(folder.iterdir())}})
    search = Pipeline()
    search.add_component("embedder", embedder.text_embedder())
    search.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    search.connect("embedder.embedding", "retriever.query_embedding")
    for words, name in ASKED_FOR.items():
        (hit,) = run_pipeline(search, {"embedder": {"text": words}})["retriever"]["documents"]
        assert hit.meta["file_path"] == f"{name}.png"
        assert hit.meta["embedding_source"] == {"type": "image", "file_path_meta_field": "file_path"}


def test_documents_are_never_changed_and_keep_their_order(call: Any, make: Make, gateway: Any) -> None:
    given = documents("blue", "red", "green", "red")
    found = call(make(), documents=given)
    assert [copy.id for copy in found["documents"]] == ["blue", "red", "green", "red"]
    assert all("embedding_source" not in document.meta and document.embedding is None for document in given)
    assert found["documents"][1].embedding == found["documents"][3].embedding
    assert type(found["documents"][0].embedding[0]) is float
    (request,) = gateway.embedding_requests()
    assert len(request.body["input"]) == 3
    assert found["meta"]["usage"]["requests"] == 1
    assert call(make(), documents=[]) == {"documents": [], "meta": {}}


def test_a_picture_is_a_file_or_a_blob_and_its_type_may_be_stated(call: Any, make: Make, folder: Path) -> None:
    data = (folder / "red.png").read_bytes()
    (folder / "nameless").write_bytes(data)
    given = [
        *documents("red"),
        Document(meta={"file_path": "nameless"}),
        Document(meta={"file_path": "nameless", "mime_type": "image/png"}),
        Document(blob=ByteStream(data, mime_type="image/png")),
        Document(blob=ByteStream(data), content="never sent"),
    ]
    first, *others = [document.embedding for document in call(make(), documents=given)["documents"]]
    assert all(embedding == first for embedding in others)
    absolute = Document(meta={"path": str(folder / "red.png")})
    found = call(make(root_path=None, file_path_meta_field="path"), documents=[absolute])
    assert found["documents"][0].embedding == first


def test_what_is_no_picture_is_named_before_any_request(call: Any, make: Make, folder: Path, gateway: Any) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken").write_bytes(b"no picture")
    outside = Document(id="outside", meta={"file_path": "../red.png"})
    missing = [Document(id=f"missing-{number}", meta={"file_path": f"{number}.png"}) for number in range(2)]
    wrong = [
        Document(id="nothing", content="a text"),
        Document(id="no path", meta={"file_path": "red\0.png"}),
        Document(id="notes", meta={"file_path": "notes.txt"}),
        Document(id="broken", meta={"file_path": "broken"}),
        Document(id="no file", meta={"file_path": "none.pdf", "page_number": 1}),
    ]
    with pytest.raises(InputError) as caught:
        call(make(), documents=[*documents("red"), *missing])
    assert str(caught.value) == (
        "Inputs 1-2 cannot be embedded: the file of meta['file_path'] cannot be read below root_path"
        f" {str(folder)!r}: No such file or directory. Documents: 'missing-0' and 'missing-1'."
    )
    assert gateway.embedding_requests() == []
    found = call(make(raise_on_failure=False), documents=[outside, *missing, *documents("red"), *wrong])
    assert [document.id for document in found["documents"]] == ["red"]
    assert [document.id for document in found["failed_documents"]] == [
        "outside", "missing-0", "missing-1", "nothing", "no path", "notes", "broken", "no file",
    ]  # fmt: skip
    causes = {tuple(cause["ids"]): cause["message"] for cause in found["meta"]["failed"]}
    assert "is outside of root_path" in causes["outside",]
    assert "No such file" in causes["missing-0", "missing-1", "no file"]
    assert "names no file, and there is no blob" in causes["nothing", "no path"]
    assert "'text/plain', which is no picture's" in causes["notes",]
    assert "do not say what picture" in causes["broken",]


def test_pictures_are_shrunk_where_a_size_is_given(call: Any, make: Make, folder: Path, gateway: Any) -> None:
    Image.effect_noise((400, 200), 90).save(folder / "noise.png")
    blob = Document(blob=ByteStream((folder / "noise.png").read_bytes(), mime_type="image/png"))
    call(make(image_size=(100, 100)), documents=[*documents("noise"), blob])
    (request,) = gateway.embedding_requests()
    (item,) = request.body["input"]
    data = b64decode(item["content"][0]["image_url"]["url"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (100, 50)
    found = call(
        make(image_size=(9, 9), raise_on_failure=False),
        documents=[Document(blob=ByteStream(b"no picture", mime_type="image/png"))],
    )
    assert "Haystack could not convert" in found["meta"]["failed"][0]["message"]


def test_a_run_that_failed_pays_for_the_rest_only(call: Any, make: Make, gateway: Any) -> None:
    embedder = make(batch_size=1, max_concurrency=1)
    call(embedder, documents=documents("green"))
    gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(InsufficientCreditsError) as caught:
        call(embedder, documents=documents())
    (landed,) = vars(caught.value)["documents"]
    assert landed.meta["embedding_source"]["type"] == "image"
    gateway.reset()
    assert len(call(embedder, documents=documents())["documents"]) == 3
    assert len(gateway.embedding_requests()) == 2


def test_other_pictures_of_the_same_size_do_not_resume(call: Any, make: Make, folder: Path, gateway: Any) -> None:
    embedder = make(batch_size=1, max_concurrency=1)
    for name in ("a", "b", "c"):
        Image.new("L", (4, 4), ord(name)).save(folder / f"{name}.gif")
    call(embedder, documents=documents("green"))
    gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(InsufficientCreditsError):
        call(embedder, documents=[Document(meta={"file_path": f"{name}.gif"}) for name in "ab"])
    gateway.reset()
    call(embedder, documents=[Document(meta={"file_path": f"{name}.gif"}) for name in "ca"])
    assert len(gateway.embedding_requests()) == 2


def test_what_is_embedded_already_is_not_even_read(call: Any, make: Make, gateway: Any) -> None:
    kept = Document(id="gone", meta={"file_path": "gone.png"}, embedding=[1.0])
    found = call(make(skip_embedded=True), documents=[kept, *documents("red")])
    assert found["documents"][0] == kept
    assert len(found["documents"][1].embedding) == 3072
    assert len(gateway.embedding_requests()) == 1


def test_it_is_saved_as_the_other_embedders_are(make: Make, folder: Path) -> None:
    embedder = make(image_size=(640, 480), raise_on_failure=False)
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    saved = pipeline.dumps()
    assert "python/" not in saved
    loaded = Pipeline.loads(saved).get_component("embedder")
    assert loaded.to_dict() == embedder.to_dict()
    options = embedder.to_dict()["init_parameters"]
    assert (options["root_path"], options["image_size"]) == (str(folder), [640, 480])
    assert "prefix" not in options
    assert len(loaded.run(documents=documents("red"))["documents"]) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image_size": 640}, "image_size takes a width and a height in pixels, such as (768, 768)."),
        ({"image_size": (640, 0)}, "image_size takes a width and a height in pixels, such as (768, 768)."),
        ({"root_path": 5}, "root_path takes a path, not int."),
        ({"file_path_meta_field": 5}, "file_path_meta_field takes a string, not int."),
        ({"prefix": "a"}, "Option 'prefix' is not taken: a picture is embedded without a text."),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(make: Make, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(**options)
    assert str(caught.value) == says


def test_a_model_that_reads_only_says_so(call: Any, make: Make, gateway: Any) -> None:
    with pytest.raises(InputError, match=r"takes no image.*Documents: 'red'"):
        call(make(model=UNMARKED), documents=documents("red"))
    assert gateway.embedding_requests() == []
