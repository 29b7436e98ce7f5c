"""The gateway's answers, from a real process over HTTP."""

from __future__ import annotations

import base64

import httpx
import numpy as np
import pytest

from openrouter_embeddings.profiles import PROFILES

SMALL = "openai/text-embedding-3-small"
TEXTS = ["The cat sat on the mat.", "A kitten rested on the rug.", "Interest rates rose in March."]
UNKNOWN = "somebody/unknown"


@pytest.fixture
def http(embeddings_gateway):
    headers = {"Authorization": "Bearer any"}
    with httpx.Client(base_url=embeddings_gateway.base_url, headers=headers, trust_env=False) as client:
        yield client


def ask(http, texts=TEXTS, model=SMALL, **fields):
    return http.post("/embeddings", json={"model": model, "input": texts, **fields})


def rows(answer):
    assert answer.status_code == 200, answer.text
    out = []
    for row in sorted(answer.json()["data"], key=lambda row: row["index"]):
        value = row["embedding"]
        out.append(np.frombuffer(base64.b64decode(value), "<f4") if isinstance(value, str) else value)
    return np.array(out, dtype=np.float32)


def test_like_texts_have_like_embeddings(http):
    found = rows(ask(http))
    assert found.shape == (3, 1536)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.1


def test_base64_and_floats_are_the_same_to_the_bit(http):
    assert (rows(ask(http)) == rows(ask(http, encoding_format="base64"))).all()


def test_a_batch_and_single_texts_give_the_same_bits(http):
    many = [f"text number {number} of a batch" for number in range(70)]
    together = rows(ask(http, many))
    assert (together[[0, 33, 69]] == np.concatenate([rows(ask(http, many[at])) for at in (0, 33, 69)])).all()


@pytest.mark.parametrize("dimensions", [64, 256, 300, 512, 1024])
def test_fewer_dimensions_are_a_prefix_at_unit_length(http, dimensions):
    whole, short = rows(ask(http)), rows(ask(http, dimensions=dimensions))
    cut = whole[:, :dimensions]
    assert np.allclose(short, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("model", ["qwen/qwen3-embedding-8b", "baai/bge-m3", "mistralai/codestral-embed-2505"])
def test_similarities_do_not_depend_on_the_width(embeddings_gateway, http, model):
    embeddings_gateway.configure(models={UNKNOWN: 256})
    wide, trained = rows(ask(http, model=model)), rows(ask(http, model=UNKNOWN))
    assert trained.shape == (3, 256)
    assert np.allclose(wide @ wide.T, trained @ trained.T, atol=1e-5)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.example_id)
def test_every_model_answers_at_its_native_width(http, profile):
    found = rows(ask(http, "hello", model=profile.example_id))
    assert found.shape == (1, profile.native_dimensions or 256)


def test_a_mark_moves_an_embedding_slightly_and_only_where_the_model_knows_it(embeddings_gateway, http):
    plain = rows(ask(http, model="voyageai/voyage-4"))
    query = rows(ask(http, model="voyageai/voyage-4", input_type="query"))
    document = rows(ask(http, model="voyageai/voyage-4", input_type="document"))
    for one, other in ((plain, query), (plain, document), (query, document)):
        assert ((one * other).sum(axis=1) > 0.95).all()
        assert ((one * other).sum(axis=1) < 0.999).all()
    assert (plain == rows(ask(http, model="voyageai/voyage-4", input_type="search_query"))).all()
    assert (rows(ask(http)) == rows(ask(http, input_type="search_query"))).all()
    embeddings_gateway.configure(models={UNKNOWN: 256})
    assert (rows(ask(http, model=UNKNOWN)) != rows(ask(http, model=UNKNOWN, input_type="search_query"))).any()


def test_a_known_prefix_is_read_as_a_mark_and_another_as_text(http):
    plain = rows(ask(http, "rates", model="intfloat/e5-large-v2"))
    known = rows(ask(http, "query: rates", model="intfloat/e5-large-v2"))
    other = rows(ask(http, "query:rates", model="intfloat/e5-large-v2"))
    assert 0.95 < (plain @ known.T).item() < 0.999
    assert (plain @ other.T).item() < 0.95


def test_usage_and_headers_are_there(http):
    answer = ask(http)
    body = answer.json()
    assert body["id"].startswith("embd-")
    assert body["object"] == "list"
    assert body["provider"] == "local"
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 10
    assert body["usage"]["cost"] == pytest.approx(body["usage"]["total_tokens"] * 0.02e-6)
    assert answer.headers["X-Generation-Id"].startswith("gen-")
    assert answer.headers["x-embedding-model"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input": ""}, "input: a text must hold at least 1 character"),
        ({"input": ["a", ""]}, "input[1]: a text must hold at least 1 character"),
        ({"input": []}, "input: must not be empty"),
        ({"input": ["a", 1]}, "input: expected strings only, token arrays only, or content objects only"),
        ({"dimensions": None}, "dimensions: expected int, received null"),
        ({"input_type": None}, "input_type: expected str, received null"),
        ({"dimensions": 0}, "dimensions: must be at least 1"),
        ({"dimensions": 1537}, "dimensions: must be between 1 and 1536"),
        ({"encoding_format": "int8"}, "encoding_format: expected 'float' or 'base64'"),
        ({"provider": {"zdrr": True}}, "provider: unrecognized key 'zdrr'"),
        ({"provider": {"zdr": "yes"}}, "provider.zdr: expected a boolean"),
        ({"provider": {"sort": ["price"]}}, "provider.sort: expected one of price, throughput, latency, exacto, or an object of by and partition"),
        ({"model": "baai/bge-m3", "dimensions": 512}, "dimensions: this model does not support specifying dimensions"),
        ({"input": [1.5]}, "input: a token id is a whole number, 0 or more"),
        ({"input": [[1], [2.0, -3]]}, "input[1]: a token id is a whole number, 0 or more"),
        ({"model": "baai/bge-m3", "input": [[1, 2]]}, "input: token arrays are not supported by this model"),
        ({"model": "baai/bge-m3", "input": ["a"] * 101}, "too many inputs: 101 in one request, at most 100"),
        ({"model": "google/gemini-embedding-001", "input": ["word " * 1500] * 20}, None),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_in_words(http, fields, says):
    answer = http.post("/embeddings", json={"model": SMALL, "input": "a", **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == 400
    if says is None:
        assert error["metadata"]["error_type"] == "token_limit_exceeded"
    else:
        assert error["message"] == says


def test_a_text_that_is_too_long_is_refused(http):
    answer = ask(http, "word " * 9000)
    assert answer.status_code == 400
    assert answer.json()["error"]["metadata"]["error_type"] == "context_length_exceeded"


def test_what_the_schema_allows_is_taken(http):
    provider = {
        "order": ["deepinfra"],
        "only": None,
        "allow_fallbacks": False,
        "data_collection": "deny",
        "sort": {"by": "price", "partition": "none"},
        "max_price": {"prompt": "0.1"},
        "preferred_max_latency": {"p90": 2},
        "options": {"voyageai": {"truncation": True}},
    }
    assert ask(http, provider=provider, user="u", trace={"x": 1}, a_new_field=[1]).status_code == 200
    assert ask(http, provider=None).status_code == 200
    assert ask(http, [[1, 2, 3], [4]]).status_code == 200


def test_a_key_is_needed(embeddings_gateway, http):
    bare = httpx.post(f"{embeddings_gateway.base_url}/embeddings", json={"model": SMALL, "input": "a"}, trust_env=False)
    assert bare.status_code == 401
    assert ask(http, "a").status_code == 200
    assert http.post("/embeddings", json={}, headers={"Authorization": "Bearer expired"}).status_code == 401
    assert http.get("/key").json()["data"]["label"] == "local"
