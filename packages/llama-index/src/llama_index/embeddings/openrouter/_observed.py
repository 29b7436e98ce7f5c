"""What can be seen of a batch: LlamaIndex's events, and a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, dispatcher
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from tqdm.auto import tqdm

from openrouter_embeddings import EmbeddingResult, UsageTracker
from openrouter_embeddings.inputs import Progress

Ended = Callable[[EmbeddingResult], list[Embedding]]


@contextmanager
def observed(
    embedder: BaseEmbedding, texts: list[str], *, bar: bool = False, unit: str = "text"
) -> Iterator[tuple[Progress | None, Ended]]:
    """Begin the events of a batch. Yield the function that takes its progress, or None, and the one that takes its result.

    What was spent, and who served it, stands in the payload of the callback's end, and in the tags of the end event.
    """
    payload = embedder.to_payload()
    dispatcher.event(EmbeddingStartEvent(model_dict=payload))
    about: dict[str, Any] = {EventPayload.SERIALIZED: payload}
    with (
        UsageTracker().counting() as usage,
        embedder.callback_manager.event(CBEventType.EMBEDDING, payload=about) as event,
        _bar(len(texts), bar, usage, unit) as landed,
    ):

        def ended(result: EmbeddingResult) -> list[Embedding]:
            embeddings, chunks = result.tolist(), _chunks(texts)
            event.on_end(
                payload={EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: embeddings, **_spent(usage, result)}
            )
            tags = {"model_name": payload["model_name"], **_spent(usage, result)}
            end = EmbeddingEndEvent(chunks=[], embeddings=[], tags=tags)
            # Given afterwards, as pydantic would look at each number, and copy every list.
            end.chunks, end.embeddings = chunks, embeddings
            dispatcher.event(end)
            return embeddings

        yield landed, ended


def _spent(usage: UsageTracker, result: EmbeddingResult) -> dict[str, Any]:
    """Return it anew: two handlers may keep it."""
    return {"usage": usage.total.to_dict(), "providers": list(result.providers)}


def _chunks(texts: Any) -> list[str]:
    """Return texts as events take them: strings alone, where the core takes None and Arrow arrays too."""
    chunks: list[str] = texts.to_pylist() if hasattr(texts, "to_pylist") else texts
    return [text or "" for text in chunks] if None in chunks else chunks


@contextmanager
def _bar(total: int, shown: bool, usage: UsageTracker, unit: str) -> Iterator[Progress | None]:
    """Show how many are done, how fast, and for how much."""
    if not shown:
        yield None
        return
    with tqdm(total=total, desc="Generating embeddings", unit=unit) as bar:

        def landed(done: int, _: int) -> None:
            bar.set_postfix_str(f"{usage.cost:.4f} USD", refresh=False)
            bar.update(done - bar.n)

        yield landed
