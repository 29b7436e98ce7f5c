"""`OpenRouterEmbedding`: the core client, spoken to in LlamaIndex's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr, SecretStr, TypeAdapter
from llama_index.core.callbacks import CallbackManager
from wrapt import when_imported

from openrouter_embeddings import Client, ClientOptions, ConfigurationError, Gateway, Options, Usage

from ._windows import gathered, join

_ALIASES = {"model": "model_name", "api_base": "base_url"}
_OPTIONS = ClientOptions.__annotations__.keys()
_PAYLOAD = ("model_name", "embed_batch_size", "dimensions", "gateway", "provider")


class EmbeddingOptions(ClientOptions, total=False):
    """What `OpenRouterEmbedding` takes: the options of the core's `Client`, and LlamaIndex's own words."""

    model: str
    api_base: str | None
    embed_batch_size: int
    num_workers: int | None
    callback_manager: CallbackManager | None
    embeddings_cache: Any
    rate_limiter: Any


def _unsaved(default: Any = None, **rules: Any) -> Any:
    """A field that changes no embedding: in no dump, so that changing it spoils no pipeline cache; in a pickle."""
    return Field(default=default, exclude=True, repr=False, **rules)


class OpenRouterEmbedding(BaseEmbedding):
    """Embeds queries and documents, each marked as its model wants it, through one core client.

    The options are those of `openrouter_embeddings.Client`, which documents them; None leaves the core's own default.
    Batches, retries, limits and checks are the core's: `embed_batch_size` is only the window of texts handed to it at
    a time. One object may be used from any thread, any event loop and, after pickling, deep copy or fork, any process.

    Examples:
        ```python
        from llama_index.core import Settings
        from llama_index.embeddings.openrouter import OpenRouterEmbedding

        Settings.embed_model = OpenRouterEmbedding(model_name="qwen/qwen3-embedding-8b")
        ```
    """

    # A refused value is never printed: it may be a key or a text.
    model_config = ConfigDict(hide_input_in_errors=True)

    # What changes the numbers, or is needed to ask for the same ones again.
    gateway: str | Gateway | None = None
    base_url: str | None = None
    allow_plain_http: bool | None = None
    profile: str | None = None
    dimensions: int | None = None
    provider: Mapping[str, Any] | None = None
    query_input_type: str | None = None
    document_input_type: str | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    normalize: bool | None = None
    on_empty: str | None = None
    on_too_long: str | None = None
    dimensions_fallback: bool | None = None
    extra_body: Mapping[str, Any] | None = None

    # What does not.
    api_key: SecretStr | Callable[[], str] | None = _unsaved()
    user: str | None = _unsaved()
    session_id: str | None = _unsaved()
    trace: Mapping[str, Any] | None = _unsaved()
    encoding_format: str | None = _unsaved()
    compression: str | None = _unsaved()
    batch_size: int | None = _unsaved()
    batch_tokens: int | None = _unsaved()
    max_concurrency: int | None = _unsaved()
    timeout: float | None = _unsaved()
    call_timeout: float | None = _unsaved()
    max_retries: int | None = _unsaved()
    max_replays: int | None = _unsaved()
    retry_timeout: float | None = _unsaved()
    cache: Any = _unsaved()
    server_cache: int | None = _unsaved()
    max_cost: float | None = _unsaved()
    coalesce_queries: bool | None = _unsaved()
    app_url: str | None = _unsaved()
    app_title: str | None = _unsaved()
    app_categories: Sequence[str] | None = _unsaved()
    extra_headers: Mapping[str, str] | None = _unsaved()
    http_client: Any = _unsaved()
    async_http_client: Any = _unsaved()

    # The base class's own tuning, kept out of dumps as well. It hands out one window after another: a wide one keeps more
    # requests in flight. Its own bound of 2048 is what OpenAI takes in one request; here the core plans the requests.
    embed_batch_size: int = _unsaved(8192, gt=0)
    num_workers: int | None = _unsaved()
    embeddings_cache: Any = _unsaved()

    _built: tuple[dict[str, Any], Client] | None = PrivateAttr(default=None)

    def __init__(self, model_name: str | None = None, **options: Unpack[EmbeddingOptions]) -> None:
        """Check every option before any request.

        Args:
            model_name: The gateway's model id, e.g. `qwen/qwen3-embedding-8b`; `model=` says the same.
            **options: Those of `openrouter_embeddings.Client` (`api_base` says the same as `base_url`), and
                `embed_batch_size`, `num_workers`, `callback_manager`, `embeddings_cache`, `rate_limiter` of the base.

        Raises:
            ConfigurationError: An option is unknown, given twice, or cannot be right.
        """
        given: dict[str, Any] = {**options}
        given.pop("class_name", None)  # a dump carries it
        if model_name is not None:
            given["model_name"] = model_name
        for alias, name in _ALIASES.items():
            value = given.pop(alias, None)
            if value is None:
                continue
            if given.get(name) not in (None, value):
                raise ConfigurationError(f"{alias}= and {name}= differ. Give one of them.")
            given[name] = value
        known = {*type(self).model_fields, *_ALIASES}
        for unknown in (name for name in given if name not in known):
            near = get_close_matches(unknown, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"Option {unknown!r} is unknown.{hint} A request field newer than this release goes under extra_body."
            )
        if "model_name" not in given:
            raise ConfigurationError("No model. Pass model_name=..., e.g. 'qwen/qwen3-embedding-8b'.")
        if isinstance(given.get("gateway"), Mapping):
            given["gateway"] = TypeAdapter(Gateway).validate_python(given["gateway"])  # as a dump holds it
        # Checked by the core before pydantic sees them: it names the way out, and turns no True into 1.
        Options(model=given["model_name"], **{name: given[name] for name in _OPTIONS if given.get(name) is not None})
        super().__init__(**given)
        _ = self.client

    @classmethod
    def class_name(cls) -> str:
        """Return the name that saved files carry."""
        return "OpenRouterEmbedding"

    @property
    def client(self) -> Client:
        """The core client, built anew when an option has been assigned since."""
        options = {name: value for name in _OPTIONS if (value := getattr(self, name)) is not None}
        options["model"] = self.model_name
        if self._built is None or self._built[0] != options:
            self._built = (options, Client(**options))
        return self._built[1]

    @property
    def usage(self) -> Usage:
        """Tokens, cost and requests so far, in this process."""
        return self.client.usage

    def _get_query_embedding(self, query: str) -> Embedding:
        return self.client.embed_query(query).tolist()[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self.client.as_async().embed_query(query)).tolist()[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self.client.embed_documents([text]).tolist()[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self.client.as_async().embed_documents([text])).tolist()[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self.client.embed_documents(texts).tolist()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        join()
        return (await self.client.as_async().embed_documents(texts)).tolist()

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Embed windows of texts side by side; when one fails, the others stop.

        Where there is an `embeddings_cache`, windows on their way are let finish: what they paid for is kept there.
        """
        with gathered() as windows:
            try:
                return await super().aget_text_embedding_batch(texts, show_progress, **kwargs)
            except BaseException:
                await windows.stop(at_once=self.embeddings_cache is None)
                raise

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return what names the embeddings, and only what was set: pipelines key their caches by it. Never the key."""
        return {name: value for name, value in super().to_dict(**kwargs).items() if value is not None}

    def to_payload(self) -> dict[str, Any]:
        """Return what events may show."""
        shown = {name: value for name in _PAYLOAD if (value := getattr(self, name)) is not None}
        if isinstance(self.gateway, Gateway):
            shown["gateway"] = self.gateway.name
        return {"class_name": self.class_name(), **shown}

    def __repr_args__(self) -> Any:
        """Show what events may show."""
        return [item for item in self.to_payload().items() if item[0] != "class_name"]

    def __getstate__(self) -> dict[str, Any]:
        """Carry the options, never the client."""
        # The base class deletes what cannot be pickled from the very object it is asked about: let that be a copy.
        twin = self.model_copy()
        twin._built = None  # noqa: SLF001 - our own class
        return BaseEmbedding.__getstate__(twin)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> OpenRouterEmbedding:
        """Copy the options and share what is alive: locks and sockets cannot be copied."""
        memo = {} if memo is None else memo
        for alive in (self.api_key, self.cache, self.embeddings_cache, self.http_client, self.async_http_client):
            memo[id(alive)] = alive
        memo[id(self._built)] = None
        twin = super().__deepcopy__(memo)
        _ = twin.client
        return twin


@when_imported("llama_index.core.embeddings.loading")
def _make_known(loading: ModuleType) -> None:
    """Have `load_embed_model` know this class too.

    Not at once: that module imports every other provider's package that is installed, which may cost a second.
    """
    loading.RECOGNIZED_EMBEDDINGS[OpenRouterEmbedding.class_name()] = OpenRouterEmbedding
