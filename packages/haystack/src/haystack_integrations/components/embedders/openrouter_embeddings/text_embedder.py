"""The embedder for the query side of a pipeline."""

from __future__ import annotations

from typing import Any, Unpack

from haystack import Document, component

from openrouter_embeddings.inputs import check_inputs

from ._embedder import Embedder, meta_of_result
from ._options import TEXT_WORDS, TextEmbedderOptions, takes
from ._pictures import has_picture


@component
class OpenRouterTextEmbedder(Embedder):
    """Embeds one string, marked as a query, through OpenRouter or a gateway that speaks its dialect.

    Give the same options to `OpenRouterDocumentEmbedder`, which embeds the documents to be found. What the core client
    can do besides (`Content`, streams, live checks) is at `.client` and `.async_client`.

    ### Usage example

    ```python
    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterTextEmbedder

    embedder = OpenRouterTextEmbedder(model="qwen/qwen3-embedding-8b")
    print(embedder.run("How do I copy a whole directory?")["embedding"][:3])
    ```
    """

    @takes(TextEmbedderOptions)
    def __init__(self, model: str, **options: Unpack[TextEmbedderOptions]) -> None:
        """Creates an OpenRouterTextEmbedder component.

        No request is made and no key is needed before the first run.
        """
        self._keep({"model": model, **options}, TEXT_WORDS)

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """Embeds a single string.

        :param text: Text to embed.
        :returns: A dictionary with the following keys:
            - `embedding`: The embedding of the text.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...), `dimensions` and
              `providers`; `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
        :raises TypeError: If the input is not a string.
        """
        with TEXT_WORDS.for_errors(), self._traced() as served:
            result = served(self.client.embed([self._checked(text)], input_type=self.input_type))
        return {"embedding": result.tolist()[0], "meta": meta_of_result(result)}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """Embeds a single string asynchronously.

        :param text: Text to embed.
        :returns: A dictionary with the following keys:
            - `embedding`: The embedding of the text.
            - `meta`: `model` served, `usage` (tokens, cost in USD, requests, retries, ...), `dimensions` and
              `providers`; `shortened`, the positions of texts too long for the model, if `on_too_long` let any through.
        :raises TypeError: If the input is not a string.
        """
        with TEXT_WORDS.for_errors(), self._traced() as served:
            result = served(await self.async_client.embed([self._checked(text)], input_type=self.input_type))
        return {"embedding": result.tolist()[0], "meta": meta_of_result(result)}

    def _checked(self, text: str) -> str:
        if not isinstance(text, str):
            message = (
                f"OpenRouterTextEmbedder expects a string as input, not {type(text).__name__}. "
                "To embed a list of Documents, use the OpenRouterDocumentEmbedder."
            )
            given = text if isinstance(text, list) else [text]
            if any(isinstance(one, Document) and has_picture(one) for one in given):
                message += " Their pictures are for the OpenRouterDocumentImageEmbedder."
            raise TypeError(message)
        text = self._around(text)
        check_inputs(
            [text], on_empty=self.on_empty
        )  # a client that is shared with a document embedder may let it through
        return text
