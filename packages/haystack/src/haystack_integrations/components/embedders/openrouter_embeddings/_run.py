"""One run over documents: what can be sent, how far it is, and what has come of each document."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

from haystack import Document, logging
from tqdm.auto import tqdm

from openrouter_embeddings import (
    AuthenticationError,
    Client,
    ConfigurationError,
    Content,
    EmbeddingError,
    EmbeddingResult,
    Input,
    InputError,
    InsufficientCreditsError,
    ModelNotFoundError,
    PermissionDeniedError,
    Usage,
    UsageTracker,
)
from openrouter_embeddings.inputs import Progress, check_inputs, named_positions
from openrouter_embeddings.results import fill_lists

from ._embedder import meta_of, meta_of_result
from ._options import WORDS

_NOT_EMPTY = "-"
_NUMBERED = re.compile(r"\S*\d\S*")
"""A word with a digit: a count, a position, the id of a request."""
logger = logging.getLogger(__name__)
_OF_NO_DOCUMENT = (
    ConfigurationError,
    AuthenticationError,
    InsufficientCreditsError,
    PermissionDeniedError,
    ModelNotFoundError,
)


class Run:
    """The documents of one run. Every position counts among all of them.

    Args:
        documents: As given.
        inputs: What is embedded of each; None: the document keeps its embedding; an error: why it cannot be embedded.
        client: For `meta`, where nothing came of any document.
        on_empty: What becomes of an empty text.
        raises: Whether a document that cannot be embedded is an error of the run.
        added_meta: What is added to the metadata of a document that was embedded.

    Raises:
        InputError: A document cannot be embedded, and that is an error of the run.
    """

    def __init__(
        self,
        documents: list[Document],
        inputs: Sequence[Input | InputError | None],
        *,
        client: Client,
        on_empty: str,
        raises: bool,
        added_meta: Mapping[str, Any],
    ) -> None:
        self._documents = documents
        self._client = client
        self._raises = raises
        self._added_meta = added_meta
        self._kept = {position for position, given in enumerate(inputs) if given is None}
        """Documents that have an embedding."""
        self._refused: dict[int, EmbeddingError] = _by_reason(inputs)
        """Documents that cannot be sent, and why."""
        # What is not sent is an empty text, so that all positions stay what they are.
        self.inputs = [given if isinstance(given, (str, Content)) else "" for given in inputs]
        unsent = self._kept | self._refused.keys()
        checked = [_NOT_EMPTY if position in unsent else given for position, given in enumerate(self.inputs)]
        if raises:
            with WORDS.for_errors(things="Documents", ids=self._ids()):
                if self._refused:
                    raise next(iter(self._refused.values()))
                if client.options.on_empty != on_empty:
                    check_inputs(checked, on_empty=on_empty)
        else:
            self._take_out(checked, on_empty)

    def _take_out(self, checked: list[Input], on_empty: str) -> None:
        """Empty the texts that the core would refuse before any request."""
        for choice in (on_empty, "zero"):
            try:
                check_inputs(checked, on_empty=choice)
            except InputError as error:
                self._refused |= dict.fromkeys(error.positions, error)
                for position in error.positions:
                    self.inputs[position] = checked[position] = ""

    def _ids(self) -> list[str]:
        return [document.id for document in self._documents]

    def digest(self) -> bytes:
        """Return a hash of all inputs."""
        digest = sha256()
        for given in self.inputs:  # a content's repr hides what is in it
            wire = given if isinstance(given, str) else given.to_wire()
            digest.update(repr(wire).encode(errors="surrogatepass"))
        return digest.digest()

    def has_something_to_send(self) -> bool:
        """Return whether any document is left."""
        return len(self._refused) + len(self._kept) < len(self._documents)

    def nothing(self) -> dict[str, Any]:
        """Return the outputs of a run that sent nothing."""
        meta = meta_of(self._client.model, Usage(), self._client.dimensions) if self._documents else {}
        return self._outputs({}, meta, self._refused)

    def embedded(self, result: EmbeddingResult) -> dict[str, Any]:
        """Return the outputs of a run that came to its end."""
        unsent = self._kept | self._refused.keys()
        rows: list[list[float]] = [[] for _ in range(len(result))]
        landed = {position: row for position, row in enumerate(rows) if position not in unsent}
        outputs = self._outputs(landed, meta_of_result(result), self._refused)
        fill_lists(rows, result.embeddings)  # now that the documents are made
        return outputs

    def raises(self, error: EmbeddingError) -> bool:
        """Return whether an error is raised, and not said of the documents that it is about."""
        return self._raises or isinstance(error, _OF_NO_DOCUMENT)

    def failed(self, error: EmbeddingError) -> dict[str, Any]:
        """Return the outputs of a run that failed, or raise its error with the documents that have an embedding."""
        partial = error.partial
        done = () if partial is None else partial.positions_done
        unsent = self._kept | self._refused.keys()
        landed = {} if partial is None else {at: partial.embeddings[at].tolist() for at in done if at not in unsent}
        if self.raises(error):
            # Inside a pipeline nothing else holds these documents: the caller finds them on `__cause__`.
            vars(error)["documents"] = self._copies(landed)
            with WORDS.for_errors(things="Documents", ids=self._ids()):
                raise error
        causes = dict.fromkeys(range(len(self._documents)), error)
        meta = meta_of(
            self._client.model if partial is None else partial.model,
            Usage() if partial is None else partial.usage,
            self._client.dimensions,
        )
        return self._outputs(landed, meta, causes | (partial.positions_failed if partial else {}) | self._refused)

    def _copies(self, landed: Mapping[int, list[float]]) -> list[Document]:
        """Return copies with an embedding, and the documents that have one, in input order."""
        return [
            self._copy(document, landed[position]) if position in landed else document
            for position, document in enumerate(self._documents)
            if position in landed or position in self._kept
        ]

    def _copy(self, document: Document, embedding: list[float]) -> Document:
        if not self._added_meta:
            return replace(document, embedding=embedding)
        return replace(document, embedding=embedding, meta={**document.meta, **self._added_meta})

    def _outputs(
        self, landed: Mapping[int, list[float]], meta: dict[str, Any], causes: Mapping[int, EmbeddingError]
    ) -> dict[str, Any]:
        """Return what landed, and each cause once, with the documents that have no embedding for it."""
        missing = [place for place in range(len(self._documents)) if place not in landed and place not in self._kept]
        kinds = {error: _kind_of(error) for error in {causes[position] for position in missing}}
        failed: dict[tuple[object, ...], dict[str, Any]] = {}
        for position in missing:
            name, message = type(causes[position]).__name__, WORDS.said(causes[position].message)
            new = {"error": name, "message": message, "positions": [], "ids": []}
            cause = failed.setdefault(kinds[causes[position]], new)
            cause["positions"].append(position)
            cause["ids"].append(self._documents[position].id)
        if missing:
            logger.warning(
                "{count} of {total} documents have no embedding: {errors}. See meta['failed'].",
                count=len(missing),
                total=len(self._documents),
                errors=", ".join(sorted({cause["error"] for cause in failed.values()})),
            )
            meta = {**meta, "failed": list(failed.values())}
        outputs = {"documents": self._copies(landed), "meta": meta}
        return (
            outputs if self._raises else {**outputs, "failed_documents": [self._documents[place] for place in missing]}
        )


def _kind_of(error: EmbeddingError) -> tuple[object, ...]:
    """Return what errors of one cause have in common: neither their positions, nor what a provider counts or numbers."""
    message = error.message.lower()
    if error.positions:
        message = message.replace(named_positions(error.positions).lower(), "#")
    return type(error), error.status, error.code, error.error_type, _NUMBERED.sub("#", message)


def _by_reason(inputs: Sequence[object]) -> dict[int, EmbeddingError]:
    """Return one error for each reason, under each of its positions."""
    reasons: dict[str, list[int]] = {}
    for position, given in enumerate(inputs):
        if isinstance(given, InputError):
            reasons.setdefault(given.message, []).append(position)
    refused: dict[int, EmbeddingError] = {}
    for reason, positions in reasons.items():
        error = InputError(f"{named_positions(positions)} cannot be embedded: {reason}", positions=positions)
        refused |= dict.fromkeys(positions, error)
    return refused


@contextmanager
def progress_bar(total: int, *, wanted: bool) -> Iterator[Progress | None]:
    """Show, at a terminal or in a notebook, how many documents are done, how fast, and for how much."""
    # disable=None is tqdm's word for "only on a terminal", which it asks in a notebook too where ipywidgets is missing.
    disable = (False if "ipykernel" in sys.modules else None) if wanted else True
    bar = tqdm(total=total, disable=disable, desc="Embedding documents", unit="doc")
    with UsageTracker().counting() as usage, bar:

        def landed(done: int, _: int) -> None:
            bar.set_postfix_str(f"{usage.cost:.4f} USD", refresh=False)
            bar.update(done - bar.n)

        yield None if bar.disable else landed
