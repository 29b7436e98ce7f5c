"""Who is measured: each subject's label, environment, module and class. The environments and what goes into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Environment:
    """A Python environment: ours editable, then a peer at a fixed version, which may fail to install."""

    ours: tuple[str, ...] = ()
    peer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """One client to measure."""

    label: str
    env: str
    module: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    def but(self, label: str = "", **options: Any) -> Subject:
        """Return the same with other options."""
        return Subject(label or self.label, self.env, self.module, self.kind, {**self.options, **options})


ENVIRONMENTS = {
    "core": Environment(("core",), ("pybase64==1.5.1",)),
    "zstd": Environment(("core",), ("backports.zstd==1.8.0",)),
    "langchain": Environment(("core", "langchain"), ("langchain-openai==1.7.3",)),
    "llama-index": Environment(("core", "llama-index"), ("llama-index-embeddings-openai-like==0.4.0",)),
    "haystack": Environment(("core", "haystack"), ("haystack-ai==3.4.0",)),
    "openai": Environment(peer=("openai==3.52.0",)),
    "openrouter": Environment(peer=("openrouter==1.3.84",)),
    "litellm": Environment(peer=("litellm==1.106.2",)),
    "pydantic-ai": Environment(peer=("pydantic-ai-slim[openai]==2.68.0",)),
}

SOCKET = Subject("raw socket", "core", "floors", "RawSocket")
HTTPX = Subject("httpx + pydantic by hand", "core", "floors", "Httpx")
HTTPX_ASYNC = Subject("httpx + pydantic by hand, async", "core", "floors", "HttpxAsync")
LLAMA_INDEX_ALONE = Subject("LlamaIndex's own part", "llama-index", "floors", "LlamaIndexAlone")
LLAMA_INDEX_BY_HAND = Subject("httpx by hand in LlamaIndex", "llama-index", "floors", "LlamaIndexByHand")
IDEAL = Subject("ideal by hand, async", "core", "floors", "Ideal")

CORE = Subject("ours, array", "core", "ours", "Core")
CORE_LIST = Subject("ours, lists", "core", "ours", "Core", {"lists": True})
CORE_ASYNC = Subject("ours async, array", "core", "ours", "CoreAsync")
CORE_ASYNC_LIST = Subject("ours async, lists", "core", "ours", "CoreAsync", {"lists": True})
OUR_LANGCHAIN = Subject("ours, LangChain", "langchain", "ours", "LangChain")
OUR_LLAMA_INDEX = Subject("ours, LlamaIndex", "llama-index", "ours", "LlamaIndex")
OUR_HAYSTACK = Subject("ours, Haystack", "haystack", "ours", "Haystack")
ADAPTERS = [OUR_LANGCHAIN, OUR_LLAMA_INDEX, OUR_HAYSTACK]

OPENAI = Subject("openai SDK", "openai", "peers", "OpenAI")
OPENAI_ASYNC = Subject("openai SDK, async", "openai", "peers", "OpenAIAsync")
OPENROUTER = Subject("openrouter SDK", "openrouter", "peers", "OpenRouter")
LANGCHAIN = Subject("LangChain OpenAIEmbeddings", "langchain", "peers", "LangChain")
LLAMA_INDEX = Subject("LlamaIndex OpenAILike", "llama-index", "peers", "LlamaIndex")
LLAMA_INDEX_ASYNC = Subject("LlamaIndex OpenAILike, async", "llama-index", "peers", "LlamaIndexAsync")
HAYSTACK = Subject("Haystack OpenAI embedder", "haystack", "peers", "Haystack")
LITELLM = Subject("litellm", "litellm", "peers", "Litellm")
PYDANTIC_AI = Subject("pydantic-ai Embedder", "pydantic-ai", "peers", "PydanticAI")
