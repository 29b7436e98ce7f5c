"""What the models of one family have in common, with source and date. Data only; see `Profile` for the fields.

Where sources disagree the stricter number stands: a model's own maximum of tokens rather than the listing's
`context_length`, the lowest batch limit of the upstreams a gateway routes to.
"""

from __future__ import annotations

from dataclasses import replace

from .profile import Marking, Profile

TASK = "Given a web search query, retrieve relevant passages that answer the query"


# Three spellings of the instruct form exist; Qwen3 has no space after the colon, the others have one.
QWEN3_INSTRUCT = Marking(prefix=f"Instruct: {TASK}\nQuery:")


SPACED_INSTRUCT = Marking(prefix=f"Instruct: {TASK}\nQuery: ")


REPRESENT = Marking(prefix="Represent this sentence for searching relevant passages: ")


NVIDIA_QUERY, NVIDIA_PASSAGE = Marking(input_type="query"), Marking(input_type="passage")


OPENAI = Profile(
    family="openai",
    normalized=True,
    max_tokens=8191,
    max_inputs=2048,
    max_request_tokens=300_000,
    listed=True,
    source="OpenAI API reference; mteb 2.26.24",
    verified=True,
)


GEMINI_2 = Profile(
    family="gemini-embedding-2",
    patterns=("gemini-embedding-2*",),
    native_dimensions=3072,
    selectable=(128, 3072),
    query=Marking(prefix="task: search result | query: "),
    document=Marking(prefix="title: none | text: "),
    renormalize=True,
    max_tokens=8192,
    max_inputs=100,
    max_request_tokens=20_000,
    modalities=("text", "image", "audio", "video", "file"),
    price_per_million=0.20,
    example_id="google/gemini-embedding-2",
    listed=True,
    source="Google's embeddings guide, task prefixes",
    verified=True,
)


QWEN3 = Profile(
    family="qwen3-embedding",
    patterns=("qwen3-embedding*",),
    query=QWEN3_INSTRUCT,
    normalized=True,
    max_tokens=32_768,
    source="Qwen3-Embedding model cards; mteb 2.26.24",
    verified=True,
)


BGE = Profile(
    family="bge",
    normalized=True,
    max_inputs=100,
    source="BGE model cards; mteb 2.26.24; Cloudflare's batch limit",
    verified=True,
)


BGE_EN = replace(BGE, family="bge-en", query=REPRESENT, max_tokens=512)


BGE_ZH = replace(BGE, family="bge-zh", query=Marking(prefix="为这个句子生成表示以用于检索相关文章："), max_tokens=512)


E5 = Profile(
    family="e5",
    query=Marking(prefix="query: "),
    document=Marking(prefix="passage: "),
    normalized=True,
    max_tokens=512,
    source="E5 model cards; mteb 2.26.24",
    verified=True,
)


E5_INSTRUCT = replace(E5, family="e5-instruct", query=SPACED_INSTRUCT, document=Marking(), normalized=None)


GTE = Profile(family="gte", max_tokens=512, listed=True, source="GTE model cards, not read for roles")


SENTENCE_TRANSFORMERS = Profile(
    family="sentence-transformers",
    max_tokens=256,
    native_dimensions=384,
    price_per_million=0.005,
    listed=True,
    source="mteb 2.26.24 for lengths; ids not confirmed",
)


MISTRAL = Profile(
    family="mistral",
    max_tokens=8192,
    max_inputs=256,
    listed=True,
    source="Mistral API reference; a batch limit of 256 seen live",
    verified=True,
)


PPLX = Profile(
    family="pplx-embed-v1",
    normalized=False,
    renormalize=True,
    max_tokens=32_768,
    max_inputs=512,
    max_request_tokens=120_000,
    listed=True,
    source="Perplexity model card and API reference",
    verified=True,
)


VOYAGE = Profile(
    family="voyage",
    native_dimensions=1024,
    selectable=frozenset({256, 512, 1024, 2048}),
    query=Marking(input_type="query"),
    document=Marking(input_type="document"),
    max_tokens=32_000,
    max_inputs=1000,
    max_request_tokens=120_000,
    listed=True,
    source="Voyage API reference",
    verified=True,
)


NEMOTRON = Profile(
    family="nemotron",
    native_dimensions=2048,
    query=NVIDIA_QUERY,
    document=NVIDIA_PASSAGE,
    source="NVIDIA API through langchain-nvidia-ai-endpoints 1.5.0",
)


COHERE = Profile(
    family="cohere",
    query=Marking(input_type="search_query"),
    document=Marking(input_type="search_document"),
    max_tokens=128_000,
    max_inputs=96,
    max_request_tokens=128_000,
    source="Cohere API reference; cohere 7.3.1",
    verified=True,
)


COHERE_3 = replace(COHERE, family="cohere-v3", max_tokens=512)


NOMIC = Profile(
    family="nomic",
    native_dimensions=768,
    query=Marking(prefix="search_query: "),
    document=Marking(prefix="search_document: "),
    normalized=True,
    max_tokens=8192,
    source="mteb 2.26.24",
    verified=True,
)


JINA_5 = Profile(
    family="jina-embeddings-v5",
    patterns=("jina-embeddings-v5*",),
    native_dimensions=1024,
    selectable=frozenset({32, 64, 128, 256, 512, 768, 1024}),
    query=Marking(prefix="Query: "),
    document=Marking(prefix="Document: "),
    max_tokens=32_768,
    example_id="jinaai/jina-embeddings-v5-text-small",
    source="mteb 2.26.24",
    verified=True,
)


REPRESENTING = Profile(
    family="represent-this-sentence", query=REPRESENT, max_tokens=512, source="mteb 2.26.24", verified=True
)
