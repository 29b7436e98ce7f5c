"""The facts about the known models, to the letter."""

from __future__ import annotations

import pytest

from openrouter_embeddings.profiles import PROFILES, Marking, profile_for

TASK = "Given a web search query, retrieve relevant passages that answer the query"

MARKS = [
    # model, query prefix, document prefix, query input_type, document input_type
    ("openai/text-embedding-3-small", "", "", None, None),
    ("google/gemini-embedding-001", "", "", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"),
    ("google/gemini-embedding-2", "task: search result | query: ", "title: none | text: ", None, None),
    ("google/gemini-embedding-2-preview", "task: search result | query: ", "title: none | text: ", None, None),
    ("qwen/qwen3-embedding-8b", f"Instruct: {TASK}\nQuery:", "", None, None),
    ("qwen/qwen3-embedding-0.6b", f"Instruct: {TASK}\nQuery:", "", None, None),
    ("baai/bge-m3", "", "", None, None),
    ("baai/bge-large-en-v1.5", "Represent this sentence for searching relevant passages: ", "", None, None),
    ("baai/bge-base-zh-v1.5", "为这个句子生成表示以用于检索相关文章：", "", None, None),
    ("intfloat/e5-large-v2", "query: ", "passage: ", None, None),
    ("intfloat/multilingual-e5-large", "query: ", "passage: ", None, None),
    ("intfloat/multilingual-e5-large-instruct", f"Instruct: {TASK}\nQuery: ", "", None, None),
    ("nvidia/llama-embed-nemotron-8b", f"Instruct: {TASK}\nQuery: ", "", None, None),
    ("thenlper/gte-large", "", "", None, None),
    ("mistralai/mistral-embed-2312", "", "", None, None),
    ("perplexity/pplx-embed-v1-4b", "", "", None, None),
    ("voyageai/voyage-4", "", "", "query", "document"),
    ("liquid/lfm-2.5-embedding-350m:free", "query: ", "document: ", None, None),
    ("nvidia/nemotron-3-embed-1b:free", "", "", "query", "passage"),
    ("nvidia/llama-nemotron-embed-vl-1b-v2:free", "", "", "query", "passage"),
    ("nvidia/llama-nemotron-embed-1b-v2", "", "", "query", "passage"),
    ("cohere/embed-v4.0", "", "", "search_query", "search_document"),
    ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: ", None, None),
    ("jinaai/jina-embeddings-v5-text-nano", "Query: ", "Document: ", None, None),
    ("mixedbread-ai/mxbai-embed-large-v1", "Represent this sentence for searching relevant passages: ", "", None, None),
    ("snowflake/snowflake-arctic-embed-l-v2.0", "query: ", "", None, None),
    ("somebody/new-embedding-model", "", "", None, None),
]


@pytest.mark.parametrize(("model", "query", "document", "query_type", "document_type"), MARKS)
def test_each_input_type_is_marked_to_the_letter(model, query, document, query_type, document_type):
    profile = profile_for(model)
    assert profile.query == Marking(prefix=query, input_type=query_type)
    assert profile.document == Marking(prefix=document, input_type=document_type)


@pytest.mark.parametrize(
    ("model", "native", "selectable"),
    [
        ("openai/text-embedding-3-large", 3072, (1, 3072)),
        ("openai/text-embedding-ada-002", 1536, None),
        ("google/gemini-embedding-001", 3072, (128, 3072)),
        ("qwen/qwen3-embedding-8b", 4096, (32, 4096)),
        ("qwen/qwen3-embedding-4b", 2560, (32, 2560)),
        ("qwen/qwen3-embedding-0.6b", 1024, (32, 1024)),
        ("qwen/qwen3-embedding-99b", None, None),
        ("baai/bge-m3", 1024, None),
        ("baai/bge-small-en-v1.5", 384, None),
        ("intfloat/multilingual-e5-base", 768, None),
        ("mistralai/codestral-embed-2505", 1536, (1, 3072)),
        ("voyageai/voyage-4-lite", 1024, frozenset({256, 512, 1024, 2048})),
        ("voyageai/voyage-multimodal-3.5", 1024, None),
        ("cohere/embed-english-light-v3.0", 384, None),
        ("somebody/new-embedding-model", None, None),
    ],
)
def test_the_widths_of_a_model(model, native, selectable):
    profile = profile_for(model)
    assert profile.native_dimensions == native
    assert profile.selectable == selectable


@pytest.mark.parametrize(
    ("model", "inputs", "tokens", "each"),
    [
        ("openai/text-embedding-3-small", 2048, 300_000, 8191),
        ("google/gemini-embedding-001", 100, 20_000, 2048),
        ("voyageai/voyage-4", 1000, 320_000, 32_000),
        ("voyageai/voyage-4-lite", 1000, 1_000_000, 32_000),
        ("voyageai/voyage-4-large", 1000, 120_000, 32_000),
        ("mistralai/mistral-embed-2312", 256, None, 8192),
        ("perplexity/pplx-embed-v1-0.6b", 512, 120_000, 32_768),
        ("cohere/embed-v4.0", 96, 128_000, 128_000),
        ("liquid/lfm-2.5-embedding-350m:free", 20, None, 512),
        ("baai/bge-m3", 100, None, 8192),
        ("nvidia/llama-nemotron-embed-vl-1b-v2:free", None, None, 10_240),
        ("sentence-transformers/all-minilm-l6-v2", None, None, 256),
        ("sentence-transformers/all-mpnet-base-v2", None, None, 384),
    ],
)
def test_the_limits_of_a_model(model, inputs, tokens, each):
    profile = profile_for(model)
    assert (profile.max_inputs, profile.max_request_tokens, profile.max_tokens) == (inputs, tokens, each)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.example_id)
def test_every_profile_is_found_by_its_example_and_says_where_it_was_read(profile):
    assert profile_for(profile.example_id) is profile
    assert profile.source
    assert profile.read_on
    for marking in (profile.query, profile.document):
        assert not (marking.prefix and marking.input_type), "a text prefix or an input_type, never both"


def test_what_needs_unit_length_restored():
    assert {profile.family for profile in PROFILES if profile.renormalize} == {
        "gemini-embedding-001",
        "gemini-embedding-2",
        "pplx-embed-v1",
    }
    assert profile_for("sentence-transformers/multi-qa-mpnet-base-dot-v1").normalized is False
