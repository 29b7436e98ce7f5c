"""A picture that comes to an embedder of texts: it is told where it belongs, and gets no zeros by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from haystack import Document
from haystack.dataclasses import ByteStream

from openrouter_embeddings import InputError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PICTURES = {
    "file": Document(id="p", meta={"file_path": "red.png"}),
    "path": Document(id="p", meta={"file_path": Path("red.png")}),
    "page": Document(id="p", meta={"file_path": "scan.pdf", "page_number": 1}),
    "type": Document(id="p", meta={"file_path": "x", "mime_type": "image/webp"}),
    "blob": Document(id="p", blob=ByteStream(b"...", mime_type="image/png")),
    "blob without a type": Document(id="p", blob=ByteStream(PNG)),
    "another field": Document(id="p", meta={"page": 3, "image_path": "shots/red.jpg"}),
    "address": Document(id="p", meta={"source": "https://example.org/red.png"}),
}
NONE = {
    "page of the web": {"file_path": "page.html", "thumbnail": "red.png"},
    "stated text": {"mime_type": "text/plain", "cover": "red.png"},
    "no file": {"file_path": "none"},
    "number": {"file_path": 5, "image": 7},
    "text": {"file_path": "empty.txt"},
    "blob": {},
}
"""Metadata of documents that are empty, and no pictures."""


@pytest.mark.parametrize("on_empty", ["error", "zero"])
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_told_where_it_belongs(
    call: Any, documents_embedder: Any, gateway: Any, picture: Document, on_empty: str
) -> None:
    text = Document(id="t", content="a text")
    with pytest.raises(InputError) as caught:
        call(documents_embedder(on_empty=on_empty), documents=[text, picture])
    assert str(caught.value) == (
        "Input 1 cannot be embedded: a document with a picture and without a text is for the"
        " OpenRouterDocumentImageEmbedder. Documents: 'p'."
    )
    assert gateway.requests() == []
    found = call(documents_embedder(on_empty=on_empty, raise_on_failure=False), documents=[text, picture])
    assert [document.id for document in found["documents"]] == ["t"]
    assert "is for the OpenRouterDocumentImageEmbedder" in found["meta"]["failed"][0]["message"]


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_one_that_is_described_is_a_text(call: Any, documents_embedder: Any, gateway: Any, picture: Document) -> None:
    described = Document(meta={**picture.meta, "title": "a red car"}, blob=picture.blob)
    found = call(documents_embedder(meta_fields_to_embed=["title"]), documents=[described])
    assert len(found["documents"]) == 1


@pytest.mark.parametrize("meta", NONE.values(), ids=NONE)
def test_an_empty_text_is_still_an_empty_text(call: Any, documents_embedder: Any, meta: dict[str, Any]) -> None:
    given = [Document(content=None, meta=meta, blob=None if meta else ByteStream(b"no picture"))]
    with pytest.raises(InputError, match=r"Input 0 is empty\. Remove it"):
        call(documents_embedder(), documents=given)
    found = call(documents_embedder(on_empty="zero", dimensions=8), documents=given)
    assert found["documents"][0].embedding == [0.0] * 8


@pytest.mark.parametrize("file", ["red.png", "scan.pdf"])
def test_where_a_text_was_looked_for_and_is_empty_zeros_are_given_if_asked_for(
    call: Any, documents_embedder: Any, file: str
) -> None:
    """A converter that reads words off a blank scan leaves an empty text, not none."""
    read = [Document(content="", meta={"file_path": file})]
    found = call(documents_embedder(on_empty="zero", dimensions=8), documents=read)
    assert found["documents"][0].embedding == [0.0] * 8
    with pytest.raises(InputError, match="is for the OpenRouterDocumentImageEmbedder"):
        call(documents_embedder(), documents=read)


def test_the_embedder_of_a_query_names_both_others(call: Any, text_embedder: Any) -> None:
    picture = PICTURES["file"]
    for given, kind in ((picture, "Document"), ([Document(content="a"), picture], "list")):
        with pytest.raises(TypeError) as caught:
            call(text_embedder(), text=given)
        assert str(caught.value) == (
            f"OpenRouterTextEmbedder expects a string as input, not {kind}. To embed a list of Documents, use the"
            " OpenRouterDocumentEmbedder. Their pictures are for the OpenRouterDocumentImageEmbedder."
        )
