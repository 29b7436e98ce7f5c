"""Law 2 behind other servers: an alias hides no marks, and a server of one's own needs no key and is sent no more than it
reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from openrouter_embeddings import ProfileWarning

from ..support.sockets import Served, answering, http, serving

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

ALIAS = "our-embedder"
QWEN = "qwen/qwen3-embedding-8b"
TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
TEXT = "How do I copy a whole directory?"


@pytest.fixture
def own_server(gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that asks for no key, as a proxy before the gateway, which does; and no key in the environment."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.delenv("OPENROUTER_API_BASE")

    def forwarded(request: bytes) -> bytes:
        headers = {"authorization": "Bearer the-servers-own", "content-type": "application/json"}
        body = request.partition(b"\r\n\r\n")[2]
        answer = httpx.post(f"{gateway.base_url}/embeddings", content=body, headers=headers, trust_env=False)
        return http(answer.content, status=f"{answer.status_code} {answer.reason_phrase}")

    with serving(answering(forwarded)) as served:
        yield served


@pytest.fixture
def make_there(make, own_server):
    """Make the subject under test for that server, with no more than its address."""
    address = f"http://127.0.0.1:{own_server.port}/v1"
    return lambda **options: make(gateway="openai-compatible", base_url=address, **options)


def test_that_a_models_marks_are_a_guess_is_said_once(make, gateway, texts):
    """A model without a profile: each object says so at its first call, and at none after that.

    Troubleshooting: nothing said means that a framework's layer swallows warnings; more than once for each object, that a
    client is made for every call or colour.
    """
    gateway.configure(models={ALIAS: 1024})
    subject = make(model=ALIAS)
    with pytest.warns(ProfileWarning) as seen:  # noqa: PT031
        for _ in range(2):
            subject.embed_documents(texts[:2])
            subject.embed_query(texts[0])
    said = [str(one.message) for one in seen if issubclass(one.category, ProfileWarning)]
    assert len(said) == len(subject.parts)
    assert all(f"No profile is known for model {ALIAS!r}" in one for one in said)
    assert "for a document" in said[0]


@pytest.mark.parametrize(
    ("profile", "query", "document"),
    [
        (QWEN, (ALIAS, None, TASK + TEXT), (ALIAS, None, TEXT)),
        ("voyageai/voyage-4", (ALIAS, "query", TEXT), (ALIAS, "document", TEXT)),
    ],
)
def test_behind_an_alias_the_profile_gives_the_marks_and_the_alias_goes_out(
    make, gateway, sent, profile, query, document
):
    """`profile=` says what a text is marked with; the model's name on the wire stays, and nothing is a guess any more.

    Troubleshooting: an unmarked query means that the option does not reach the core; another name, that it replaces the
    model.
    """
    gateway.configure(models={ALIAS: 1024})
    subject = make(model=ALIAS, profile=profile, dimensions=256)
    subject.embed_query(TEXT)
    subject.embed_documents([TEXT])
    assert [(one.body["model"], *_marked(one.body)) for one in sent()] == [query, document]


def test_a_server_of_ones_own_is_asked_without_a_key(make_there, own_server, truth, texts):
    """No key is passed, none is in the environment, and none is sent: the answer is what the model gives.

    Troubleshooting: an error before any request means that an adapter asks for a key by itself.
    """
    truth_of_both = truth.rows(texts[:3])
    subject = make_there()
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth_of_both, atol=1e-6)
    np.testing.assert_allclose(subject.embed_query(texts[0]), truth_of_both[0], atol=1e-6)
    assert _names_sent_to(own_server) == [set(), set()]


def test_a_server_of_ones_own_does_not_get_the_gateways_key(make_there, own_server, monkeypatch, texts):
    """Whoever uses both has the other's key in the environment, and it stays there.

    Troubleshooting: the header means that an adapter reads the variable by itself; that is a leak.
    """
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-canary-77aa")
    subject = make_there(app_title="An app")
    subject.embed_documents(texts[:2])
    subject.embed_query(texts[0])
    assert _names_sent_to(own_server) == [set(), set()]
    assert not [request for request in own_server.requests if b"canary-77aa" in request]


@pytest.mark.parametrize(
    ("options", "query", "document"),
    [
        ({"model": "intfloat/e5-base-v2"}, "query: " + TEXT, "passage: " + TEXT),
        ({"model": QWEN}, TASK + TEXT, TEXT),
        ({"model": ALIAS, "profile": QWEN}, TASK + TEXT, TEXT),
        ({"model": "openai/text-embedding-3-small"}, TEXT, TEXT),
    ],
    ids=["e5", "qwen", "qwen behind an alias", "unmarked"],
)
def test_a_server_of_ones_own_is_sent_prefixes_and_no_input_type(make_there, gateway, sent, options, query, document):
    """What the model was trained with stands in the text; a field that such servers do not read is not sent.

    Troubleshooting: an unmarked query is worse search without an error; another field may be refused.
    """
    gateway.configure(models={ALIAS: 4096})
    subject = make_there(**options, dimensions=None)
    subject.embed_query(TEXT)
    subject.embed_documents([TEXT])
    assert [_marked(one.body) for one in sent()] == [(None, query), (None, document)]
    assert [set(one.body) for one in sent()] == [{"model", "input", "encoding_format"}] * 2


def test_a_guess_for_a_server_of_ones_own_sends_nothing_and_says_so(make_there, gateway, sent):
    """A model without a profile goes out bare there, where the gateway would get its documented values.

    Troubleshooting: an `input_type` means that the dialect does not reach the core.
    """
    gateway.configure(models={ALIAS: 1024})
    with pytest.warns(ProfileWarning, match="nothing is sent for a query"):
        make_there(model=ALIAS).embed_query(TEXT)
    (only,) = sent()
    assert _marked(only.body) == (None, TEXT)


def _marked(body):
    """Return what marks a request's one text, and the text, which may stand in a list."""
    text = body["input"]
    return body.get("input_type"), text if isinstance(text, str) else text[0]


def _names_sent_to(server):
    """Return, for each request, its headers that hold a key or are for the gateway alone."""
    kept = []
    for request in server.requests:
        lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").lower().split("\r\n")[1:]
        names = {line.partition(":")[0] for line in lines}
        kept.append({name for name in names if name in _NOT_THERE or name.startswith("x-")})
    return kept


_NOT_THERE = {"authorization", "http-referer"}
