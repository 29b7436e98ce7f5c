"""Which facts an id stands for, and what they are to the letter."""

from __future__ import annotations

import pytest

from openrouter_embeddings.profiles import (
    PROFILES,
    UNKNOWN,
    Marking,
    normalise_model_id,
    profile_for,
    wire_model_id,
)

TASK = "Given a web search query, retrieve relevant passages that answer the query"

SIDES = [
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


@pytest.mark.parametrize(("model", "query", "document", "query_type", "document_type"), SIDES)
def test_a_side_is_marked_to_the_letter(model, query, document, query_type, document_type):
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


@pytest.mark.parametrize(
    ("written", "same_as"),
    [
        ("openrouter/openai/text-embedding-3-small", "openai/text-embedding-3-small"),
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai-text-embedding-3-small", "openai/text-embedding-3-small"),
        ("qwen-qwen3-embedding-0.6b", "qwen/qwen3-embedding-0.6b"),
        ("Qwen/Qwen3-Embedding-8B", "qwen/qwen3-embedding-8b"),
        ("qwen/qwen3-embedding-8b:nitro", "qwen/qwen3-embedding-8b"),
        ("qwen/qwen3-embedding-8b@2025-06-05", "qwen/qwen3-embedding-8b"),
        ("baai-bge-m3", "baai/bge-m3"),
        ("nomic-ai-nomic-embed-text-v1.5", "nomic-ai/nomic-embed-text-v1.5"),
        ("nvidia/nemotron-3-embed-1b", "nvidia/nemotron-3-embed-1b:free"),
    ],
)
def test_an_id_is_matched_however_it_is_written(written, same_as):
    assert profile_for(written) is profile_for(same_as)
    assert profile_for(written) is not UNKNOWN


@pytest.mark.parametrize(
    "model", ["", "somebody/new", "openai/gpt-4o", "qwen/qwen3-8b", "openai-", "acme-text-embedding-3-small", "baai/"]
)
def test_what_no_profile_fits_is_unknown_and_nothing_is_assumed(model):
    profile = profile_for(model)
    assert profile is UNKNOWN
    assert profile.native_dimensions is profile.max_inputs is profile.max_tokens is profile.normalized is None
    assert not profile.renormalize


def test_the_longest_pattern_wins():
    assert profile_for("intfloat/multilingual-e5-large-instruct").family == "e5-instruct"
    assert profile_for("google/gemini-embedding-2").family == "gemini-embedding-2"
    assert profile_for("google/gemini-embedding-001").family == "gemini-embedding-001"
    assert profile_for("jinaai/jina-embeddings-v5-text-nano").native_dimensions == 768
    assert profile_for("voyageai/voyage-4-large").max_request_tokens == 120_000


@pytest.mark.parametrize(
    ("model", "basename"),
    [("BAAI/bge-m3", "bge-m3"), ("a/b:free", "b"), ("a/b@v1", "b"), ("openrouter/a/b", "b"), (" b ", "b")],
)
def test_an_id_has_a_basename(model, basename):
    assert normalise_model_id(model) == basename


def test_the_wire_id_is_the_users_own():
    assert wire_model_id("openrouter/Qwen/Qwen3-Embedding-8B:nitro") == "Qwen/Qwen3-Embedding-8B:nitro"
    assert wire_model_id("openai-text-embedding-3-small@2") == "openai-text-embedding-3-small@2"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.example_id)
def test_every_profile_is_found_by_its_example_and_says_where_it_was_read(profile):
    assert profile_for(profile.example_id) is profile
    assert profile.source
    assert profile.read_on
    for marking in (profile.query, profile.document):
        assert not (marking.prefix and marking.input_type), "a text prefix or an input_type, never both"


def test_no_pattern_stands_twice():
    patterns = [pattern for profile in PROFILES for pattern in profile.patterns]
    assert len(patterns) == len(set(patterns))


def test_what_needs_unit_length_restored():
    assert {profile.family for profile in PROFILES if profile.renormalize} == {
        "gemini-embedding-001",
        "gemini-embedding-2",
        "pplx-embed-v1",
    }
    assert profile_for("sentence-transformers/multi-qa-mpnet-base-dot-v1").normalized is False
