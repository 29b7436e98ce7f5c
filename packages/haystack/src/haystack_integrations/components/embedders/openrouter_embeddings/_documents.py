"""What the embedders of documents share: whatever is embedded of one, a run is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from haystack import Document, component

from openrouter_embeddings import EmbeddingError, Input, InputError, Partial
from openrouter_embeddings.words import Words

from ._embedder import Embedder
from ._run import Run, progress_bar
from .text_embedder import OpenRouterTextEmbedder


class DocumentsEmbedder(Embedder):
    """The part of an embedder of documents that does not know what is embedded of one."""

    progress_bar: bool
    raise_on_failure: bool
    skip_embedded: bool
    _unfinished: tuple[bytes, Partial] | None
    """What landed in a run that raised, and a hash of its inputs."""

    def _set_up(self, options: Mapping[str, Any], words: Words) -> None:
        # A run that leaves documents out sends nothing for them, so that all positions stay what they are.
        leaves_out = options.get("raise_on_failure") is False or options.get("skip_embedded") is True
        self._keep(options, words, **({"on_empty": "zero"} if leaves_out else {}))
        self._unfinished = None
        # A third output would keep pipelines from connecting the embedder by itself, so it is there where it is used.
        failed = {} if self.raise_on_failure else {"failed_documents": list[Document]}
        component.set_output_types(self, documents=list[Document], meta=dict[str, Any], **failed)

    def _inputs_of(self, documents: list[Document]) -> Sequence[Input | InputError]:
        """Return what is embedded of each document, or why nothing can be: an error without a position."""
        raise NotImplementedError

    def _added_meta(self) -> Mapping[str, Any]:
        """Return what is added to the metadata of a document that was embedded."""
        return {}

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
                embed = self.client.embed
                result = served(embed(run.inputs, input_type=self.input_type, **self._resumed(run), on_progress=landed))
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
        run = await self._begin_async(documents)
        if not run.has_something_to_send():
            return run.nothing()
        try:
            with self._traced() as served, progress_bar(len(documents), wanted=self.progress_bar) as landed:
                embed = self.async_client.embed
                result = served(
                    await embed(run.inputs, input_type=self.input_type, **self._resumed(run), on_progress=landed)
                )
        except EmbeddingError as error:
            self._keep_unfinished(run, error)
            return run.failed(error)
        return run.embedded(result)

    def _begin(self, documents: list[Document]) -> Run:
        """Return the run of some documents."""
        name = type(self).__name__
        if not isinstance(documents, list):
            message = f"{name} expects a list of Documents as input, not {type(documents).__name__}."
            raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        for position, document in enumerate(documents):
            if not isinstance(document, Document):
                message = f"{name} expects Documents, but item {position} is {type(document).__name__}."
                raise TypeError(f"{message} To embed a string, use the OpenRouterTextEmbedder.")
        kept = [self.skip_embedded and document.embedding is not None for document in documents]
        inputs = iter(self._inputs_of([document for document, keeps in zip(documents, kept, strict=True) if not keeps]))
        return Run(
            documents,
            [None if keeps else next(inputs) for keeps in kept],
            client=self.client,
            on_empty=self.on_empty,
            raises=self.raise_on_failure,
            added_meta=self._added_meta(),
        )

    async def _begin_async(self, documents: list[Document]) -> Run:
        """Do what `_begin` does."""
        return self._begin(documents)

    def _resumed(self, run: Run) -> dict[str, Partial]:
        """Return what landed of the same inputs in the last run, if that raised: pipelines resume with a snapshot."""
        unfinished, self._unfinished = self._unfinished, None
        return {"resume": unfinished[1]} if unfinished is not None and unfinished[0] == run.digest() else {}

    def _keep_unfinished(self, run: Run, error: EmbeddingError) -> None:
        if run.raises(error) and error.partial is not None and error.partial.positions_done:
            self._unfinished = (run.digest(), error.partial)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_unfinished": None}
