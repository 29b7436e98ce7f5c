"""The embedder for the query side of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from haystack import component
from haystack.utils import Secret

from openrouter_embeddings import Cache

from ._options import API_KEY, Embedder, meta_of_result


@component
class OpenRouterTextEmbedder(Embedder):
    """Embeds one string, marked as a query, through OpenRouter or a gateway that speaks its dialect.

    Options that are None are the core client's defaults; README of `openrouter-embeddings` explains each of them.
    Give the same options to `OpenRouterDocumentEmbedder`, which embeds the documents to be found.

    ### Usage example

    ```python
    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterTextEmbedder

    embedder = OpenRouterTextEmbedder(model="qwen/qwen3-embedding-8b")
    print(embedder.run("How do I copy a whole directory?")["embedding"][:3])
    ```
    """

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
        input_type: Literal["query", "document"] = "query",
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
        """Creates an OpenRouterTextEmbedder component.

        No request is made and no key is needed before the first run.

        :param model: The gateway's model id, passed through untouched.
        :param api_key: The API key. By default from the gateway's own variable, `OPENROUTER_API_KEY` for OpenRouter.
        :param api_base_url: The address of the API. By default `OPENROUTER_API_BASE` if set, else the gateway's.
        :param gateway: `"openrouter"` or `"infron"`.
        :param allow_plain_http: Whether texts and the key may travel unencrypted to another machine.
        :param profile: The model whose facts hold, where `model` is an alias that hides it.
        :param dimensions: The number of dimensions of the embedding, where the model can choose.
        :param prefix: A string to add at the beginning of the text, after what the model itself wants there.
        :param suffix: A string to add at the end of the text.
        :param input_type: The side the text is embedded on: `"query"`, or `"document"` to compare documents.
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
        self._keep(locals())

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """Embeds a single string.

        :param text: Text to embed.
        :returns: A dictionary with the following keys:
            - `embedding`: The embedding of the text.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...) and `providers`;
              `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
        :raises TypeError: If the input is not a string.
        """
        result = self._client.embed([self._marked(text)], input_type=self.input_type)
        return {"embedding": result.tolist()[0], "meta": meta_of_result(result)}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """Embeds a single string asynchronously.

        :param text: Text to embed.
        :returns: A dictionary with the following keys:
            - `embedding`: The embedding of the text.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...) and `providers`;
              `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
        :raises TypeError: If the input is not a string.
        """
        result = await self._client.as_async().embed([self._marked(text)], input_type=self.input_type)
        return {"embedding": result.tolist()[0], "meta": meta_of_result(result)}

    def _marked(self, text: str) -> str:
        if not isinstance(text, str):
            message = (
                f"OpenRouterTextEmbedder expects a string as input, not {type(text).__name__}. "
                "To embed a list of Documents, use the OpenRouterDocumentEmbedder."
            )
            raise TypeError(message)
        return self.prefix + text + self.suffix
