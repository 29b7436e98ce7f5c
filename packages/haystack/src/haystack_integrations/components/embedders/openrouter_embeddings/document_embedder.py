"""The embedder for the indexing side of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import itemgetter
from typing import Any, Literal

from haystack import Document, component, logging
from haystack.utils import Secret
from tqdm import tqdm

from openrouter_embeddings import Cache, ConfigurationError, EmbeddingError, EmbeddingResult, InputError, Usage

from ._options import API_KEY, Embedder, meta_of, meta_of_result

logger = logging.getLogger(__name__)


@component
class OpenRouterDocumentEmbedder(Embedder):
    """Embeds documents, marked as documents, through OpenRouter or a gateway that speaks its dialect.

    Documents are never changed: the output holds copies with an embedding. Each gets the embedding of its own text,
    whatever its id; equal texts are sent once. Options that are None are the core client's defaults; README of
    `openrouter-embeddings` explains each of them.

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

    def __init__(
        self,
        *,
        model: str,
        api_key: Secret = API_KEY,
        api_base_url: str | None = None,
        gateway: str | None = None,
        allow_plain_http: bool | None = None,
        profile: str | None = None,
        dimensions: int | None = None,
        prefix: str = "",
        suffix: str = "",
        input_type: Literal["query", "document"] = "document",
        progress_bar: bool = True,
        meta_fields_to_embed: Sequence[str] | None = None,
        embedding_separator: str = "\n",
        raise_on_failure: bool = True,
        provider: Mapping[str, object] | None = None,
        user: str | None = None,
        session_id: str | None = None,
        trace: Mapping[str, object] | None = None,
        query_input_type: str | None = None,
        document_input_type: str | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        encoding_format: Literal["auto", "base64", "float"] | None = None,
        compression: Literal["auto", "gzip", "none"] | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        max_concurrency: int | None = None,
        timeout: float | None = None,
        call_timeout: float | None = None,
        max_retries: int | None = None,
        max_replays: int | None = None,
        retry_timeout: float | None = None,
        cache: Cache | str | os.PathLike[str] | None = None,
        server_cache: int | None = None,
        max_cost: float | None = None,
        on_empty: str | None = None,
        on_too_long: str | None = None,
        dimensions_fallback: bool | None = None,
        coalesce_queries: bool | None = None,
        app_url: str | None = None,
        app_title: str | None = None,
        app_categories: Sequence[str] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, object] | None = None,
    ) -> None:
        """Creates an OpenRouterDocumentEmbedder component.

        No request is made and no key is needed before the first run.

        :param model: The gateway's model id, passed through untouched.
        :param api_key: The API key. By default from the gateway's own variable, `OPENROUTER_API_KEY` for OpenRouter.
        :param api_base_url: The address of the API. By default `OPENROUTER_API_BASE` if set, else the gateway's.
        :param gateway: `"openrouter"` or `"infron"`.
        :param allow_plain_http: Whether texts and the key may travel unencrypted to another machine.
        :param profile: The model whose facts hold, where `model` is an alias that hides it.
        :param dimensions: The number of dimensions of the embeddings, where the model can choose.
        :param prefix: A string to add at the beginning of each text, after what the model itself wants there.
        :param suffix: A string to add at the end of each text.
        :param input_type: The side the documents are embedded on: `"document"`, or `"query"` to compare queries.
        :param progress_bar: If `True`, shows a progress bar on a terminal, and nothing elsewhere.
        :param meta_fields_to_embed: List of metadata fields to embed along with the document text.
        :param embedding_separator: Separator used to concatenate the metadata fields to the document text.
        :param raise_on_failure: If `True`, a document that cannot be embedded raises, and the error holds what had
            landed: `partial`, and `documents`, the copies with an embedding. If `False`, such documents come out of
            `failed_documents` and are named in `meta["failed"]`, and `documents` holds the others.
        :param provider: Provider preferences, keys as on the wire; a misspelt one is refused, never dropped.
        :param user: An id of your end user, sent along.
        :param session_id: An id that groups requests in the gateway's logs.
        :param trace: Trace data for the gateway's observability.
        :param query_input_type: What goes over the wire for queries; "" sends none. By default the model's own mark.
        :param document_input_type: The same for documents.
        :param query_prefix: What stands before a query. By default the prefix that the model was trained with.
        :param document_prefix: The same for documents.
        :param encoding_format: How embeddings travel: `"auto"`, `"base64"` or `"float"`.
        :param compression: How answers may be compressed: `"auto"`, `"gzip"` or `"none"`.
        :param normalize: Whether embeddings are brought to unit length. By default where the model needs it.
        :param batch_size: Most inputs per request. By default the model's limit, then what is learnt.
        :param batch_tokens: Most estimated tokens per request. By default the model's limit.
        :param max_concurrency: Most requests in flight, over all threads and event loops that use this embedder.
        :param timeout: Seconds that one request may take.
        :param call_timeout: Seconds that one run may take in all; 30 by default for a single query.
        :param max_retries: Most retries of one request.
        :param max_replays: How often a request that may have been billed is sent again.
        :param retry_timeout: Seconds that one batch may spend waiting for retries.
        :param cache: Path of a SQLite file that remembers embeddings. A cache object will do, but cannot be saved.
        :param server_cache: Seconds for which the gateway keeps its answers: a request sent again is not charged again.
        :param max_cost: USD that this embedder may spend; it stops before the request that would pass it.
        :param on_empty: What becomes of an empty text; by default it is an error before any request.
        :param on_too_long: What becomes of a text that is too long for the model: `"error"`, `"truncate"` or
            `"average"`.
        :param dimensions_fallback: Whether to cut here what a provider sends wider than asked for.
        :param coalesce_queries: Whether single queries made at the same time share requests.
        :param app_url: Your app's address, for the gateway's rankings.
        :param app_title: Your app's name, for the gateway's rankings.
        :param app_categories: Your app's categories, for the gateway's rankings.
        :param extra_headers: More HTTP headers. Pipelines save them in the clear: put no secret here.
        :param extra_body: Fields newer than this release, merged into the request body.
        :raises ConfigurationError: If an option cannot be right.
        """
        if isinstance(meta_fields_to_embed, str):  # its letters would be taken for names, and none found
            raise ConfigurationError(f"meta_fields_to_embed takes a list. Write [{meta_fields_to_embed!r}].")
        self._keep(locals())

    @component.output_types(documents=list[Document], meta=dict[str, Any], failed_documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds a list of documents.

        :param documents: Documents to embed. An empty list makes no request.
        :returns: A dictionary with the following keys:
            - `documents`: Copies of the documents with an embedding, in input order.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...) and `providers`;
              `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
            - `failed_documents`: Documents without an embedding; empty unless `raise_on_failure=False`.
        :raises TypeError: If the input is not a list of documents, each of them.
        :raises EmbeddingError: If a document cannot be embedded and `raise_on_failure=True`.
        """
        texts = self._texts(documents)
        if not texts:
            return {"documents": [], "meta": {}, "failed_documents": []}
        try:
            with self._progress(len(texts)) as landed:
                result = self._client.embed(texts, input_type=self.input_type, on_progress=landed)
        except EmbeddingError as error:
            if spared := self._spared(documents, error):
                rest = self.run([documents[one] for one in spared])
                return _rejoined(documents, spared, rest, error)
            return self._incomplete(documents, error)
        return _complete(documents, result)

    @component.output_types(documents=list[Document], meta=dict[str, Any], failed_documents=list[Document])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds a list of documents asynchronously.

        :param documents: Documents to embed. An empty list makes no request.
        :returns: A dictionary with the following keys:
            - `documents`: Copies of the documents with an embedding, in input order.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...) and `providers`;
              `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
            - `failed_documents`: Documents without an embedding; empty unless `raise_on_failure=False`.
        :raises TypeError: If the input is not a list of documents, each of them.
        :raises EmbeddingError: If a document cannot be embedded and `raise_on_failure=True`.
        """
        texts = self._texts(documents)
        if not texts:
            return {"documents": [], "meta": {}, "failed_documents": []}
        try:
            with self._progress(len(texts)) as landed:
                result = await self._client.as_async().embed(texts, input_type=self.input_type, on_progress=landed)
        except EmbeddingError as error:
            if spared := self._spared(documents, error):
                rest = await self.run_async([documents[one] for one in spared])
                return _rejoined(documents, spared, rest, error)
            return self._incomplete(documents, error)
        return _complete(documents, result)

    def _texts(self, documents: list[Document]) -> list[str]:
        """Return the text of each document, as every Haystack embedder joins it."""
        if not isinstance(documents, list):
            message = (
                f"OpenRouterDocumentEmbedder expects a list of Documents as input, not {type(documents).__name__}."
            )
            raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        for position, one in enumerate(documents):
            if not isinstance(one, Document):
                message = f"OpenRouterDocumentEmbedder expects Documents, but item {position} is {type(one).__name__}."
                raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        return [self._text(one) for one in documents]

    def _text(self, document: Document) -> str:
        fields = [document.meta.get(name) for name in self.meta_fields_to_embed or []]
        parts = [*(str(value) for value in fields if value is not None), document.content or ""]
        return self.prefix + self.embedding_separator.join(parts) + self.suffix

    @contextmanager
    def _progress(self, total: int) -> Iterator[Callable[[int, int], None]]:
        # disable=None is tqdm's word for "only on a terminal".
        disable = None if self.progress_bar else True
        with tqdm(total=total, disable=disable, desc="Embedding documents", unit="doc") as bar:

            def landed(done: int, total: int) -> None:
                # Batches land on many threads: a count that arrives late is no step back.
                bar.total = total
                bar.update(max(0, done - bar.n))

            yield landed

    def _spared(self, documents: list[Document], error: EmbeddingError) -> list[int]:
        """Return which documents can still be embedded after some were refused before any request."""
        if self.raise_on_failure or not isinstance(error, InputError):
            return []
        refused = set(error.positions)
        return [one for one in range(len(documents)) if refused and one not in refused]

    def _incomplete(self, documents: list[Document], error: EmbeddingError) -> dict[str, Any]:
        """Return what landed and name what did not, or raise the error with what landed."""
        partial = error.partial
        rows = {} if partial is None else {one: partial.embeddings[one].tolist() for one in partial.positions_done}
        embedded = [replace(documents[one], embedding=row) for one, row in rows.items()]
        if self.raise_on_failure or isinstance(error, ConfigurationError):
            # Inside a pipeline nobody else holds these documents: the caller finds them on `__cause__`.
            vars(error)["documents"] = embedded
            raise error
        causes = {} if partial is None else partial.positions_failed
        missing = [one for one in range(len(documents)) if one not in rows]
        failed = [_named(one, documents[one], causes.get(one, error)) for one in missing]
        meta = meta_of(self.model, Usage()) if partial is None else meta_of(partial.model, partial.usage)
        return _with_holes(documents, embedded, meta, failed)


def _complete(documents: list[Document], result: EmbeddingResult) -> dict[str, Any]:
    embedded = [replace(one, embedding=row) for one, row in zip(documents, result.tolist(), strict=True)]
    meta = meta_of_result(result)
    return {"documents": embedded, "meta": meta, "failed_documents": []}


def _named(position: int, document: Document, error: EmbeddingError) -> dict[str, Any]:
    return {"position": position, "id": document.id, "error": type(error).__name__, "message": str(error)}


def _rejoined(
    documents: list[Document], spared: list[int], rest: dict[str, Any], error: EmbeddingError
) -> dict[str, Any]:
    """Return what came of the spared documents, with positions as the caller counts them."""
    meta = rest["meta"]
    if "shortened" in meta:
        meta = {**meta, "shortened": [spared[one] for one in meta["shortened"]]}
    failed = [{**one, "position": spared[one["position"]]} for one in meta.get("failed", [])]
    failed += [_named(one, documents[one], error) for one in error.positions]
    return _with_holes(documents, rest["documents"], meta, sorted(failed, key=itemgetter("position")))


def _with_holes(
    documents: list[Document], embedded: list[Document], meta: dict[str, Any], failed: list[dict[str, Any]]
) -> dict[str, Any]:
    logger.warning("{count} of {total} documents have no embedding.", count=len(failed), total=len(documents))
    missing = [documents[one["position"]] for one in failed]
    return {"documents": embedded, "meta": {**meta, "failed": failed}, "failed_documents": missing}
