"""Where no answer can come from: a certificate for another name, a server that never answers. Few try it, and not for long."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from openrouter_embeddings import Client, ConnectionFailedError, EmbeddingError, TimedOutError

from ...support.certificates import make_authority
from ...support.sockets import answering, hang, serving
from .conftest import texts

both_colours = pytest.mark.parametrize("colour", ["sync", "async"])


def failures(client: Client, colour: str, count: int) -> list[EmbeddingError]:
    """Ask so many queries at once, and return what each failed with."""
    together = threading.Barrier(count)

    def ask(text: str) -> EmbeddingError:
        together.wait()
        with pytest.raises(EmbeddingError) as caught:
            client.embed_query(text)
        return caught.value

    async def ask_all() -> list[EmbeddingError]:
        async with client.as_async() as other:
            return await asyncio.gather(*map(other.embed_query, texts(count)), return_exceptions=True)

    if colour == "async":
        return asyncio.run(ask_all())
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, texts(count)))


@both_colours
def test_a_certificate_for_another_name_is_met_once_and_named(make, tmp_path, monkeypatch, colour):
    authority = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving(answering(), tls=authority.other) as gateway:
        client = make(base_url=f"https://localhost:{gateway.port}/api/v1", batch_size=1)
        with pytest.raises(ConnectionFailedError) as caught:
            if colour == "sync":
                client.embed_documents(texts(40))
            else:
                asyncio.run(client.as_async().embed_documents(texts(40)))
    error = caught.value
    assert str(error).startswith("The gateway's certificate is for another host name at openrouter (https://localhost:")
    assert "Write that name in base_url." in str(error)
    assert "attempts" not in str(error)
    assert error.partial.usage == client.usage
    assert (client.usage.requests, client.usage.retries) == (1, 0)
    assert gateway.connections == 1
    assert gateway.requests == []


@both_colours
def test_queries_at_a_server_that_never_answers_end_with_their_time_and_not_after_the_queue(make, colour):
    """Each would be sent twice, four at a time and a second each: 24 requests and 6 seconds. Waiting counts, too."""
    with serving(hang) as gateway:
        client = make(base_url=f"http://127.0.0.1:{gateway.port}/api/v1", timeout=1.0, call_timeout=2.0)
        failed = failures(client, colour, 12)
    for error in failed:
        # On a busy machine, what is left of a query's time may not be enough to connect.
        assert isinstance(error, (TimedOutError, ConnectionFailedError)), repr(error)
        its_time_is_over = "The 2 s that the call may take (call_timeout) are over." in str(error)
        assert its_time_is_over or (isinstance(error, TimedOutError) and error.partial.usage.requests == 2)
    assert gateway.connections <= client.usage.requests < 18
    assert client._state.runtime().dispatcher.limiter.in_flight == 0
