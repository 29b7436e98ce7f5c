"""The embedder for the indexing side of a pipeline."""

from __future__ import annotations

from inspect import signature
from typing import Any, Unpack

from haystack import Document, component

from openrouter_embeddings import ConfigurationError, EmbeddingError, Partial

from ._embedder import Embedder
from ._options import WORDS, DocumentEmbedderOptions, takes
from ._run import Run, progress_bar
from .text_embedder import OpenRouterTextEmbedder


@component
class OpenRouterDocumentEmbedder(Embedder):
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

    progress_bar: bool
    meta_fields_to_embed: list[str] | None
    embedding_separator: str
    raise_on_failure: bool
    skip_embedded: bool

    @takes(DocumentEmbedderOptions)
    def __init__(self, **options: Unpack[DocumentEmbedderOptions]) -> None:
        """Creates an OpenRouterDocumentEmbedder component.

        No request is made and no key is needed before the first run.
        """
        fields = options.get("meta_fields_to_embed")
        if isinstance(fields, str):  # its letters would be taken for names, and none found
            raise ConfigurationError(f"meta_fields_to_embed takes a list. Write [{fields!r}].")
        # A run that leaves documents out empties their texts, so that all positions stay what they are.
        leaves_out = options.get("raise_on_failure") is False or options.get("skip_embedded") is True
        self._keep(options, WORDS, **({"on_empty": "zero"} if leaves_out else {}))
        self._unfinished: tuple[bytes, Partial] | None = None
        """What landed in a run that raised, and a hash of its texts."""
        # A third output would keep pipelines from connecting the embedder by itself, so it is there where it is used.
        failed = {} if self.raise_on_failure else {"failed_documents": list[Document]}
        component.set_output_types(self, documents=list[Document], meta=dict[str, Any], **failed)

    def text_embedder(self, *, prefix: str = "", suffix: str = "") -> OpenRouterTextEmbedder:
        """Returns an embedder for the queries, with the same options and the same client.

        Both stay within one `max_concurrency` and one `max_cost`, and share what is learnt, cached and counted. Saved and
        loaded, each has a client of its own.

        :param prefix: Put before a query that is not empty.
        :param suffix: Put after a query that is not empty.
        """
        shared = signature(OpenRouterTextEmbedder.__init__).parameters.keys() - {
            "self",
            "input_type",
            "prefix",
            "suffix",
        }
        options = {name: getattr(self, name) for name in shared & self._stated}
        made = OpenRouterTextEmbedder(**options, prefix=prefix, suffix=suffix)
        made._client = self._client  # noqa: SLF001 - our own class
        return made

    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds a list of documents.

        :param documents: Documents to embed. An empty list makes no request.
        :returns: A dictionary with the following keys:
            - `documents`: Copies of the documents with an embedding, in input order.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...), `dimensions` and
              `providers`; `shortened`, the positions of texts too long for the model, if `on_too_long` let any through; `failed`, if
              there are `failed_documents`: each cause once (`error`, `message`), with `positions` and `ids`.
            - `failed_documents`: Only where `raise_on_failure=False`: documents without an embedding.
        :raises TypeError: If the input is not a list of documents, each of them.
        :raises EmbeddingError: If a document cannot be embedded and `raise_on_failure=True`, or if none can: the key is
            refused, or no credit is left.
        """
        run = self._begin(documents)
        if not run.has_something_to_send():
            return run.nothing()
        try:
            with self._traced() as served, progress_bar(len(documents), wanted=self.progress_bar) as landed:
                result = served(
                    self.client.embed(run.texts, input_type=self.input_type, **self._resumed(run), on_progress=landed)
                )
        except EmbeddingError as error:
            self._keep_unfinished(run, error)
            return run.failed(error)
        return run.embedded(result)

    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds a list of documents asynchronously.

        :param documents: Documents to embed. An empty list makes no request.
        :returns: A dictionary with the following keys:
            - `documents`: Copies of the documents with an embedding, in input order.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...), `dimensions` and
              `providers`; `shortened`, the positions of texts too long for the model, if `on_too_long` let any through; `failed`, if
              there are `failed_documents`: each cause once (`error`, `message`), with `positions` and `ids`.
            - `failed_documents`: Only where `raise_on_failure=False`: documents without an embedding.
        :raises TypeError: If the input is not a list of documents, each of them.
        :raises EmbeddingError: If a document cannot be embedded and `raise_on_failure=True`, or if none can: the key is
            refused, or no credit is left.
        """
        run = self._begin(documents)
        if not run.has_something_to_send():
            return run.nothing()
        try:
            with self._traced() as served, progress_bar(len(documents), wanted=self.progress_bar) as landed:
                result = served(
                    await self.async_client.embed(
                        run.texts, input_type=self.input_type, **self._resumed(run), on_progress=landed
                    )
                )
        except EmbeddingError as error:
            self._keep_unfinished(run, error)
            return run.failed(error)
        return run.embedded(result)

    def _begin(self, documents: list[Document]) -> Run:
        """Return the run of some documents, each with its text as every Haystack embedder joins it."""
        if not isinstance(documents, list):
            message = (
                f"OpenRouterDocumentEmbedder expects a list of Documents as input, not {type(documents).__name__}."
            )
            raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        for position, document in enumerate(documents):
            if not isinstance(document, Document):
                message = (
                    f"OpenRouterDocumentEmbedder expects Documents, but item {position} is {type(document).__name__}."
                )
                raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        texts = [self._around(self._joined(document)) for document in documents]
        return Run(
            documents,
            texts,
            client=self.client,
            on_empty=self.on_empty,
            raises=self.raise_on_failure,
            skips=self.skip_embedded,
        )

    def _resumed(self, run: Run) -> dict[str, Partial]:
        """Return what landed of the same texts in the last run, if that raised: pipelines resume with a snapshot."""
        unfinished, self._unfinished = self._unfinished, None
        return {"resume": unfinished[1]} if unfinished is not None and unfinished[0] == run.digest() else {}

    def _keep_unfinished(self, run: Run, error: EmbeddingError) -> None:
        if self.raise_on_failure and error.partial is not None and error.partial.positions_done:
            self._unfinished = (run.digest(), error.partial)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_unfinished": None}

    def _joined(self, document: Document) -> str:
        """Return metadata and content in one text, which is empty where all of them are."""
        fields = [document.meta.get(name) for name in self.meta_fields_to_embed or []]
        parts = [*(str(value) for value in fields if value is not None), document.content or ""]
        return self.embedding_separator.join(parts) if any(parts) else ""
