"""Which profile a model id stands for, however it is written."""

from __future__ import annotations

import pytest

from openrouter_embeddings.profiles import PROFILES, UNKNOWN, normalise_model_id, profile_for, wire_model_id


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


def test_no_pattern_stands_twice():
    patterns = [pattern for profile in PROFILES for pattern in profile.patterns]
    assert len(patterns) == len(set(patterns))
