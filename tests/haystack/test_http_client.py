"""`http_client_kwargs`: through a proxy, past an authority of one's own, refused with a reason, saved and copied."""

from __future__ import annotations

import asyncio
import copy
import pickle
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from haystack import Document, Pipeline

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterDocumentImageEmbedder,
    OpenRouterTextEmbedder,
)
from openrouter_embeddings import ConfigurationError, ConnectionFailedError

from ..support.certificates import Authority, make_authority
from ..support.sockets import Served, serving
from .conftest import PLAIN, UNMARKED, Front, rows


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates"))


# ------------------------------------------------------------------------------------------------------ what it sets


def test_all_three_send_what_the_client_adds(call: Any, gateway: Any) -> None:
    text = OpenRouterTextEmbedder(model=UNMARKED, http_client_kwargs=PLAIN)
    many = OpenRouterDocumentEmbedder(model=UNMARKED, http_client_kwargs=PLAIN, progress_bar=False)
    seeing = OpenRouterDocumentImageEmbedder(model="google/gemini-embedding-2", http_client_kwargs=PLAIN)
    assert len(call(text, text="a")["embedding"]) == 1536
    assert rows(call(many, documents=[Document(content="b")])) == [1536]
    assert len(call(seeing.text_embedder(), text="a red car")["embedding"]) == 3072
    assert [one.headers["x-team"] for one in gateway.embedding_requests()] == ["notes"] * 3


def test_requests_go_through_the_proxy_that_is_named(
    call: Any, make: Any, served: Served, gateway: Any, documents: Any
) -> None:
    proxy = {"proxy": f"http://127.0.0.1:{served.port}"}
    call(make(api_base_url=gateway.base_url, http_client_kwargs=proxy), documents=documents())
    assert served.requests[0].startswith(f"POST {gateway.base_url}/embeddings HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("way", ["file", "object", "unchecked"])
def test_an_authority_of_ones_own_is_trusted(
    call: Any, make: Any, front: Front, authority: Authority, documents: Any, way: str
) -> None:
    trusted: Any = str(authority.file) if way == "file" else False
    if way == "object":
        trusted = ssl.create_default_context(cafile=str(authority.file))
    with serving(front.act, tls=authority.server) as there:
        address = f"https://localhost:{there.port}/api/v1"
        embedder = make(api_base_url=address, http_client_kwargs={"verify": trusted}, max_retries=0, retry_timeout=0)
        assert rows(call(embedder, documents=documents())) == [1536]
        embedder.close()
        with pytest.raises(ConnectionFailedError) as caught:
            call(make(api_base_url=address, http_client_kwargs=None, retry_timeout=0), documents=documents())
    assert "or name that file in http_client_kwargs={'verify': ...}" in str(caught.value)


def test_a_certificate_of_ones_own_is_shown(
    call: Any, make: Any, front: Front, authority: Authority, documents: Any, tmp_path: Path
) -> None:
    """A pair comes out of YAML as a list."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "my.key"]
    command = ["openssl", "req", "-x509", *key, "-out", "my.pem", "-subj", "/CN=me", "-days", "30"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    asks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asks.load_cert_chain(authority.file.parent / "server.pem", authority.file.parent / "server.key")
    asks.load_verify_locations(tmp_path / "my.pem")
    asks.verify_mode = ssl.CERT_REQUIRED
    kwargs = {"verify": str(authority.file), "cert": [str(tmp_path / "my.pem"), str(tmp_path / "my.key")]}
    with serving(front.act, tls=asks) as there:
        embedder = make(api_base_url=f"https://localhost:{there.port}/api/v1", http_client_kwargs=kwargs)
        assert rows(call(embedder, documents=documents())) == [1536]
        embedder.close()


def test_pairs_and_limits_are_given_as_yaml_has_them(call: Any, make: Any, served: Served, documents: Any) -> None:
    """Side by side, six batches would want six connections."""
    kwargs = {"auth": ["user", "word"], "limits": {"max_connections": 1}}
    embedder = make(http_client_kwargs=kwargs, batch_size=1)
    assert rows(call(embedder, documents=documents(6))) == [1536] * 6
    assert served.connections == 1
    assert all(b"Basic dXNlcjp3b3Jk\r\n" in request for request in served.requests)


# --------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("kind", [OpenRouterTextEmbedder, OpenRouterDocumentEmbedder, OpenRouterDocumentImageEmbedder])
@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ([1], "http_client_kwargs takes a dict of httpx.Client's keyword arguments, not list."),
        (
            {"verfy": False},
            "http_client_kwargs['verfy'] is no keyword argument of httpx.Client. Did you mean 'verify'?",
        ),
        ({"headers": {"a": "b"}, "zzz": 1}, "http_client_kwargs['zzz'] is no keyword argument of httpx.Client."),
        ({"trust_env": True, "auth": 5}, "http_client_kwargs['auth'] is refused by httpx (TypeError)."),
        ({"proxy": "ftp://user:canary@x"}, "http_client_kwargs['proxy'] is refused by httpx (ValueError)."),
        ({"verify": "/canary.pem"}, "http_client_kwargs['verify'] is refused by httpx (FileNotFoundError)."),
        (
            {"timeout": 5},
            "http_client_kwargs['timeout'] is not taken: timeout= of the embedder bounds a whole exchange.",
        ),
        (
            {"base_url": "http://x"},
            "http_client_kwargs['base_url'] is not taken: api_base_url= of the embedder is the address.",
        ),
        (
            {"follow_redirects": True},
            "http_client_kwargs['follow_redirects'] is not taken: no text and no key is sent on to where an answer points.",
        ),
    ],
)
def test_what_httpx_does_not_take_is_named_when_the_embedder_is_made(kind: Any, kwargs: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(model=UNMARKED, http_client_kwargs=kwargs)
    assert str(caught.value) == says
    assert caught.value.__context__ is None
    assert "canary" not in says


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(
        ConfigurationError, match=r"http_client_kwargs\['http2'\] is refused by httpx: .*httpx\[http2\]"
    ):
        OpenRouterTextEmbedder(model=UNMARKED, http_client_kwargs={"http2": True})


@pytest.mark.parametrize("word", ["httpx_client_kwargs", "async_http_client_kwargs", "http_kwargs"])
def test_a_word_like_it_is_answered_with_it(word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterTextEmbedder(model=UNMARKED, **{word: {}})
    assert str(caught.value) == f"Option {word!r} is called http_client_kwargs here."


@pytest.mark.parametrize(
    ("kwargs", "place"),
    [
        ({"verify": ssl.create_default_context()}, "['verify'] cannot be saved, being SSLContext."),
        ({"limits": httpx.Limits()}, "['limits'] cannot be saved, being Limits."),
        ({"event_hooks": {"request": [print]}}, "['event_hooks']['request'][0] cannot be saved, being builtin_"),
    ],
)
def test_a_live_object_is_used_and_not_saved(gateway: Any, kwargs: Any, place: str) -> None:
    embedder = OpenRouterTextEmbedder(model=UNMARKED, http_client_kwargs=kwargs)
    assert len(embedder.run("a")["embedding"]) == 1536
    with pytest.raises(ConfigurationError) as caught:
        embedder.to_dict()
    assert str(caught.value).startswith(f"http_client_kwargs{place}")
    assert "{'verify': 'ca.pem', 'limits': {'max_connections': 10}}" in str(caught.value)


def test_a_transport_of_the_other_colour_is_said_to_be_one(gateway: Any) -> None:
    sync = OpenRouterTextEmbedder(model=UNMARKED, http_client_kwargs={"transport": httpx.HTTPTransport()})
    assert len(sync.run("a")["embedding"]) == 1536
    with pytest.raises(ConfigurationError, match="has a HTTPTransport, which serves run and not run_async"):
        asyncio.run(sync.run_async("b"))
    sync.close()
    mounts = {"mounts": {"all://": httpx.AsyncHTTPTransport()}}
    with pytest.raises(ConfigurationError, match="has a AsyncHTTPTransport, which serves run_async and not run"):
        OpenRouterTextEmbedder(model=UNMARKED, http_client_kwargs=mounts).run("c")


# ---------------------------------------------------------------------------------------------------- saved and copied


def test_it_comes_back_through_yaml(call: Any, make: Any, gateway: Any, documents: Any, tmp_path: Path) -> None:
    kwargs = {"headers": {"x-team": "notes"}, "limits": {"max_connections": 3}, "trust_env": False, "http2": False}
    pipeline = Pipeline()
    pipeline.add_component("embedder", make(http_client_kwargs=kwargs))
    saved = pipeline.dumps()
    assert "!!python" not in saved
    loaded: Any = Pipeline.loads(saved).get_component("embedder")
    assert loaded.http_client_kwargs == kwargs
    call(loaded, documents=documents())
    assert gateway.embedding_requests()[-1].headers["x-team"] == "notes"


def test_copies_have_it_too_and_connections_of_their_own(
    call: Any, make: Any, served: Served, gateway: Any, documents: Any
) -> None:
    first = make()
    call(first, documents=documents())
    pair = first.text_embedder()
    assert pair.client is first.client
    copied, unpickled = copy.deepcopy((first, pair)), pickle.loads(pickle.dumps((first, pair)))
    again = pickle.loads(pickle.dumps(first))
    for documents_embedder, queries in (copied, unpickled):
        assert documents_embedder.client is queries.client
        assert documents_embedder.client._state is not first.client._state
        call(documents_embedder, documents=documents())
    assert again.client._state is unpickled[0].client._state
    assert served.connections == 3
    assert [one.headers["x-team"] for one in gateway.embedding_requests()] == ["notes"] * 3
    for one in (first, *copied, *unpickled):
        one.close()
