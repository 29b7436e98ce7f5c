"""What both colours have: what a client shows of itself, and what its copies and pickles carry."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import httpx
import pytest

from openrouter_embeddings import AsyncClient, Client, ConfigurationError, SqliteCache, Usage
from openrouter_embeddings.gateways import OPENROUTER

from .conftest import MODEL


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_shows_its_model_and_gateway_and_no_key(kind):
    client = kind(MODEL, api_key="sk-canary", extra_headers={"x-own": "canary"})
    assert repr(client) == f"{kind.__name__}(model={MODEL!r}, gateway='openrouter')"
    assert "canary" not in repr(client.options)
    assert client.model == MODEL
    assert client.gateway is OPENROUTER
    assert Client(MODEL, base_url="http://127.0.0.1:1/v1").gateway.base_url == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_option_that_does_not_exist_is_refused(kind):
    with pytest.raises(ConfigurationError, match="Did you mean 'dimensions'"):
        kind(MODEL, dimension=3)


def test_the_width_is_that_asked_for_else_that_of_the_answers_else_the_profiles(make):
    assert Client(MODEL, dimensions=256).dimensions == 256
    assert Client(MODEL).dimensions == 1536
    assert Client("new/model").dimensions is None
    client = make("alias/of-something", profile="openai/text-embedding-3-large")
    assert client.dimensions == 3072
    client._state.learned.accepts_width(7)
    assert client.dimensions == 7


def test_what_was_learnt_can_be_seen(make):
    client = make(batch_size=8)
    assert (client.learned.max_inputs, client.learned.encoding) == (8, None)
    client.embed_query("x")
    assert (client.learned.encoding, client.learned.dimensions) == ("base64", 1536)


def test_copies_and_pickles_carry_configuration_and_nothing_else(make):
    client = make(dimensions=256)
    client.embed_query("x")
    for other in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):
        assert other.usage == Usage()
        assert other.learned.encoding is None
        assert (other.embed_query("x").embeddings == client.embed_query("x").embeddings).all()
    assert copy.copy(client).usage == client.usage
    assert copy.copy(client).learned is client.learned
    assert len(pickle.dumps(client)) < 4096


def test_a_key_from_the_environment_stays_there(monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-canary")
    assert b"sk-canary" not in pickle.dumps(Client(MODEL))


@pytest.mark.parametrize("name", ["http_client", "async_http_client"])
def test_a_client_with_an_http_client_of_the_users_does_not_pickle(name):
    own = httpx.Client() if name == "http_client" else httpx.AsyncClient()
    with pytest.raises(ConfigurationError, match=r"cannot be pickled\. Give a function that makes one"):
        pickle.dumps(Client(MODEL, **{name: own}))
    copy.deepcopy(Client(MODEL, **{name: own}))
    if isinstance(own, httpx.Client):
        own.close()


def test_a_client_with_a_cache_pickles(make, tmp_path):
    client = make(cache=tmp_path / "e.sqlite")
    client.embed_documents(["a"])
    again = pickle.loads(pickle.dumps(client))
    assert isinstance(again.options.cache, SqliteCache)
    assert again.embed_documents(["a"]).usage.cached == 1


def test_a_client_goes_to_another_process(make):
    client = make()
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).embed_query('x').tolist()[0])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=pickle.dumps(client),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().strip() == str(client.embed_query("x").tolist()[0])
