"""Clients that are unpickled in one process: one client, as long as their options are the same."""

from __future__ import annotations

import copy
import os
import pickle
import threading

import pytest

from openrouter_embeddings import AsyncClient, Client, SqliteCache
from openrouter_embeddings._secret import Secret
from openrouter_embeddings.client import unpickled

from .conftest import MODEL, texts


def twice(client: Client) -> tuple[Client, Client]:
    data = pickle.dumps(client)
    return pickle.loads(data), pickle.loads(data)


def test_a_client_unpickled_twice_is_one_client(make, tmp_path):
    client = make(dimensions=256, cache=SqliteCache(tmp_path / "e.sqlite"), extra_headers={"x": Secret("y")})
    first, second = twice(client)
    assert first is not second
    first.embed_documents(texts(3))
    assert second.usage.requests == 1
    assert second.learned is first.learned
    assert second._state.runtime() is first._state.runtime()
    assert client.usage.requests == 0


def test_both_colours_of_the_same_options_share_too(make):
    client = make()
    sync, other = pickle.loads(pickle.dumps(client)), pickle.loads(pickle.dumps(client.as_async()))
    assert isinstance(other, AsyncClient)
    assert other._state is sync._state


@pytest.mark.parametrize("options", [{"dimensions": 64}, {"api_key": "sk-another"}, {"max_concurrency": 3}])
def test_clients_of_different_options_are_apart(make, options):
    assert pickle.loads(pickle.dumps(make()))._state is not pickle.loads(pickle.dumps(make(**options)))._state


def test_the_address_that_the_environment_names_keeps_clients_apart(monkeypatch):
    data = pickle.dumps(Client(MODEL))
    first = pickle.loads(data)
    monkeypatch.setenv("OPENROUTER_API_BASE", "http://127.0.0.1:9/api/v1")
    assert pickle.loads(data)._state is not first._state


def test_no_secret_is_a_key_of_what_is_kept(make):
    pickle.loads(pickle.dumps(make(api_key="sk-canary")))
    assert [len(key) for key in unpickled._states] == [32]
    assert "sk-canary" not in repr(unpickled._states)


def test_the_eight_used_last_are_kept(make):
    data = [pickle.dumps(make(dimensions=width)) for width in range(1, 10)]
    states = [pickle.loads(each)._state for each in data[:8]]
    assert pickle.loads(data[0])._state is states[0]
    pickle.loads(data[8])
    assert pickle.loads(data[0])._state is states[0]
    assert pickle.loads(data[1])._state is not states[1]


def test_a_deep_copy_stays_apart(make):
    first, second = twice(make())
    assert copy.deepcopy(first)._state is not second._state


def test_what_only_another_pickler_carries_makes_a_client_of_its_own(make):
    key = lambda: "sk-test-key"
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(make(api_key=key))
    rebuild, (kind, options) = make(api_key=key).__reduce__()
    assert rebuild(kind, options)._state is not rebuild(kind, options)._state


def test_closing_one_ends_no_stream_of_the_other(make):
    first, second = twice(make(batch_size=2))
    stream = first.embed_stream(texts(20), input_type="document")
    begun = [next(stream)]
    second.close()
    assert sum(len(batch.ids) for batch in [*begun, *stream]) == 20
    stream = first.embed_stream(texts(200), input_type="document")
    next(stream)
    first.close()
    with pytest.raises(Exception, match="its client was closed"):
        list(stream)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later
def test_in_a_forked_child_too_it_is_one_client_though_another_thread_was_unpickling(make):
    client = make()
    first, _ = twice(client)
    data = pickle.dumps(client)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with unpickled._lock:
            held.set()
            go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        right = pickle.loads(data)._state is first._state and len(first.embed_query("x").embeddings) == 1
        os._exit(0 if right else 1)
    go.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
