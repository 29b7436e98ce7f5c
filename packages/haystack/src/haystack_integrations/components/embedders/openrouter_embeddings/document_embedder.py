"""The embedder for the indexing side of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from haystack import Document, component

from openrouter_embeddings import ConfigurationError, Input, InputError

from ._documents import DocumentsEmbedder
from ._options import WORDS, DocumentEmbedderOptions, takes
from ._pictures import has_picture


@component
class OpenRouterDocumentEmbedder(DocumentsEmbedder):
    """Embeds documents, marked as documents, through OpenRouter or a gateway that speaks its dialect.

    Documents are never changed: the output holds copies with an embedding. Each gets the embedding of its own text,
    whatever its id; equal texts are sent once. What the core client can do besides (`Content`, streams, `resume=`, live
    checks) is at `.client` and `.async_client`.

    ### Usage example

    ```python
    from haystack import Document
    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

    embedder = OpenRouterDocumentEmbedder(model="qwen/qwen3-embedding-8b")
    found = embedder.run([Document(content="shutil.copytree: Recursively copy a directory tree.")])
    print(found["documents"][0].embedding[:3], found["meta"]["usage"]["cost"])
    ```
    """

    meta_fields_to_embed: list[str] | None
    embedding_separator: str

    @takes(DocumentEmbedderOptions)
    def __init__(self, model: str, **options: Unpack[DocumentEmbedderOptions]) -> None:
        """Creates an OpenRouterDocumentEmbedder component.

        No request is made and no key is needed before the first run.
        """
        _check_names(options.get("meta_fields_to_embed"))
        self._set_up({"model": model, **options}, WORDS)

    def _inputs_of(self, documents: list[Document]) -> Sequence[Input | InputError]:
        return [self._input_of(document) for document in documents]

    def _input_of(self, document: Document) -> Input | InputError:
        """Return the text, as every Haystack embedder joins it."""
        text = self._around(self._joined(document))
        # Zeros were asked for where a text is empty. Where there is none at all, nobody has looked for one in the picture.
        may_be_zeros = self.on_empty != "error" and document.content is not None
        if not text and not may_be_zeros and has_picture(document):
            return InputError(
                "a document with a picture and without a text is for the OpenRouterDocumentImageEmbedder."
            )
        return text

    def _joined(self, document: Document) -> str:
        """Return metadata and content in one text, which is empty where all of them are."""
        fields = [document.meta.get(name) for name in self.meta_fields_to_embed or []]
        parts = [*(str(value) for value in fields if value is not None), document.content or ""]
        return self.embedding_separator.join(parts) if any(parts) else ""


def _check_names(fields: object) -> None:
    """Raise `ConfigurationError` for what is no list of names."""
    if isinstance(fields, str):  # its letters would be taken for names, and none found
        raise ConfigurationError(f"meta_fields_to_embed takes a list. Write [{fields!r}].")
    if fields is None:
        return
    odd = [name for name in fields if not isinstance(name, str)] if isinstance(fields, Sequence) else [fields]
    if odd:
        kind = type(odd[0]).__name__
        raise ConfigurationError(f"meta_fields_to_embed takes a list of strings, such as ['title'], not {kind}.")
