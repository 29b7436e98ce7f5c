"""Whole clients before servers that refuse: who is blamed, what it costs, what is learnt of it, and what the error says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._flows import outcome

from ...simulation.answers import all_right, numbers, refusal, right_answer
from ...simulation.world import World
from ...support.answers import Answer, embedding_of
from ...support.sockets import Served, answering, http, serving
from .conftest import stream, texts

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])
NVIDIA = "Input length 2667 exceeds maximum allowed token size 512"
IN_PASSING = "Provider returned error"
DECLINED = "Our moderation desk in Lisbon declined this request for reasons of policy"
NO_DIMENSIONS = "This model does not support specifying dimensions."


def embed(client: Any, inputs: list[str], colour: str) -> Any:
    """Embed documents in one colour or the other."""
    if colour == "sync":
        return client.embed_documents(inputs)
    return asyncio.run(client.as_async().embed_documents(inputs))


def refused(message: Any, status: str = "400 Bad Request", *, name: str = "error") -> bytes:
    """Return a refusal in OpenAI's form, or under another name."""
    return http(json.dumps({name: {"message": message} if name == "error" else message}).encode(), status=status)


@contextlib.contextmanager
def refusing(refuse: Callable[[list[str]], bytes | None]) -> Iterator[Served]:
    """Serve right answers, but where `refuse` has another for a request's texts."""

    def answer(request: bytes) -> bytes:
        body = json.loads(request.partition(b"\r\n\r\n")[2])
        right = Answer(body["input"], body["encoding_format"] == "base64")
        return refuse(right.texts) or http(right.json())

    with serving(answering(answer)) as served:
        yield served


def base_of(served: Served) -> str:
    """Return a server's address as a client wants it."""
    return served.url.removesuffix("/embeddings")


# ------------------------------------------------------------------------------------------------------- one bad text


@BOTH
@pytest.mark.parametrize("message", [NVIDIA, "input exceeds the maximum length"], ids=["NVIDIA", "some server"])
def test_one_text_too_long_among_a_thousand_is_blamed_alone_and_makes_no_later_batch_smaller(
    make, embeddings_gateway, colour, message
):
    def requests() -> int:
        count = len(embeddings_gateway.embedding_requests())
        embeddings_gateway.reset()
        return count

    harmless = [f"another {text}" for text in texts(1_000)]
    embed(make(batch_size=64), harmless, colour)
    fresh = requests()
    assert fresh == 16

    client = make(batch_size=64, on_error="null")
    embeddings_gateway.trouble("status", status=400, message=message, only_if_contains="number 500", times=None)
    result = embed(client, texts(1_000), colour)
    assert list(result.errors) == [500]
    assert isinstance(result.errors[500], errors.InputTooLongError)
    assert message in str(result.errors[500])
    assert np.flatnonzero(np.isnan(result.embeddings).any(axis=1)).tolist() == [500]
    assert requests() <= fresh + 2 * 7, "halving a batch of 64 takes six steps, each of at most two requests"

    result = embed(client, harmless, colour)
    assert not result.errors
    assert requests() == fresh


# ---------------------------------------------------------------------------------------------------- nobody is at fault


def takes_at_most(limit: int, answer: bytes) -> Callable[[list[str]], bytes | None]:
    return lambda given: answer if len(given) > limit else None


def once(after: int) -> Callable[[list[str]], bytes | None]:
    """Refuse one request, after so many that pass."""
    left = [None] * after + [refused(IN_PASSING)]
    return lambda given: left.pop(0) if left else None


PYDANTIC = [
    {"type": "too_long", "loc": ["body", "input"], "msg": "List should have at most 2048 items after validation"}
]
FAULTLESS = pytest.mark.parametrize(
    ("refuse", "batch_size", "count", "requests"),
    [
        # 8 batches, of each of which a half lands, and the other in six steps, down to a text that lands alone.
        pytest.param(lambda: takes_at_most(32, refused("Validation error")), 64, 500, 64, id="32, unnamed"),
        pytest.param(lambda: takes_at_most(2048, refused("Validation error")), 4096, 5000, 15, id="2048, unnamed"),
        pytest.param(
            lambda: takes_at_most(2048, refused(PYDANTIC, "422 Unprocessable Entity", name="detail")),
            5000,
            5000,
            4,
            id="2048, infinity",
        ),
        pytest.param(lambda: once(0), 64, 500, 15, id="the first refused in passing"),
        pytest.param(lambda: once(3), 64, 500, 15, id="a later one refused in passing"),
    ],
)


@BOTH
@FAULTLESS
def test_a_limit_that_is_met_or_a_refusal_in_passing_costs_no_text_its_embedding(
    make, colour, refuse, batch_size, count, requests
):
    with refusing(refuse()) as served:
        client = make(base_url=base_of(served), batch_size=batch_size, normalize=False, on_error="null")
        result = embed(client, texts(count), colour)
    assert dict(result.errors) == {}
    assert result.embeddings.tolist() == [embedding_of(text) for text in texts(count)]
    assert len(served.requests) <= requests


@BOTH
@FAULTLESS
def test_a_stream_too_blames_nobody_for_a_limit_or_a_refusal_in_passing(
    make, colour, refuse, batch_size, count, requests
):
    with refusing(refuse()) as served:
        client = make(base_url=base_of(served), batch_size=batch_size, normalize=False)
        batches = stream(client, texts(count), colour)
    assert [dict(batch.errors) for batch in batches if batch.errors] == []
    assert [number for batch in batches for number in batch.ids] == list(range(count))
    rows = np.concatenate([batch.embeddings for batch in batches])
    assert rows.tolist() == [embedding_of(text) for text in texts(count)]
    assert len(served.requests) <= requests


@pytest.mark.parametrize("side", ["query", "document"])
def test_after_two_refusals_of_a_minute_each_requests_are_no_more_than_a_second_apart(side):
    """In virtual time, which no machine makes longer: by what landed between the two it would be 40 s."""

    def gateway(world: World, request: Any) -> Any:
        return 0.01, refusal(429, retry_after="60") if len(world.requests) in {1, 3} else right_answer(request)

    world = World(gateway, batch_size=1, max_concurrency=1)
    job = world.call(world.embed(numbers(3)))
    world.run()
    assert all_right(job.outcomes[0], numbers(3))
    assert [one.status for one in world.requests] == [429, 200, 429, 200, 200]
    later = world.call(*[world.embed([text], side) for text in numbers(20, 500)], start=world.now)
    world.run()
    assert all(all_right(one, [text]) for one, text in zip(later.outcomes, numbers(20, 500), strict=True))
    assert max(ended - began for began, ended in zip(later.began, later.ended, strict=True)) <= 1.1


# ------------------------------------------------------------------------------------------------------- a wrong address


@BOTH
@pytest.mark.parametrize("path", ["/v1", "/api", "", "/api/v1/embeddings"])
def test_an_address_at_which_nothing_embeds_is_named_and_said_to_be_wrong(make, embeddings_gateway, colour, path):
    address = embeddings_gateway.base_url.removesuffix("/api/v1") + path
    client = make(base_url=address, batch_size=1)
    with pytest.raises(errors.InvalidRequestError, match="Nothing answers embeddings at this address") as caught:
        embed(client, texts(5), colour)
    assert f"({address})" in str(caught.value)
    assert "(404)" in str(caught.value)
    assert "base_url" in str(caught.value)
    assert "No provider" not in str(caught.value)
    assert client.usage.requests == 1


NGINX_TLS = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"


@BOTH
@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        ("404 Not Found", "<html><title>No such page</title></html>", errors.InvalidRequestError, "Nothing answers"),
        ("405 Method Not Allowed", "", errors.InvalidRequestError, "Nothing answers embeddings at this address"),
        ("407 Proxy Authentication Required", "", errors.ConnectionFailedError, "The proxy refused the credentials"),
        ("400 Bad Request", NGINX_TLS, errors.InvalidRequestError, "https:// in base_url"),
    ],
    ids=["404", "405", "407", "400 of TLS"],
)
def test_a_servers_refusal_is_shown_with_its_status_and_address_and_blames_no_input(
    make, colour, status, body, kind, words
):
    with serving(answering(http(body.encode(), status=status))) as served:
        client = make(base_url=base_of(served), batch_size=1)
        with pytest.raises(kind) as caught:
            embed(client, texts(5), colour)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert words in message
    assert f"({status[:3]}) at openrouter ({base_of(served)})" in message
    assert "the inputs" not in message
    assert len(served.requests) == 1


@BOTH
def test_dimensions_that_are_refused_are_not_the_fault_of_an_input(make, embeddings_gateway, colour):
    client = make(dimensions=64, batch_size=2, on_error="null")
    embeddings_gateway.trouble("status", status=400, message=NO_DIMENSIONS, times=None)
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(client, texts(5), colour)
    assert type(caught.value) is errors.InvalidRequestError
    assert f"It says: {NO_DIMENSIONS[:-1]!r}. Set dimensions to a width that the model has" in str(caught.value)
    assert "leave out the inputs" not in str(caught.value)
    assert len(embeddings_gateway.embedding_requests()) == 1


# --------------------------------------------------------------------------------------------------- our own side's faults


class OwnError(OSError):
    """An exception of the user's, of a kind that networks raise too."""


def embed_through(
    make: Any, colour: str, *, closed: bool = False, raising_at: str | None = None, **options: Any
) -> Any:
    """Embed five texts, one a request, through a client of the user's own, and return ours."""

    def raising(_: object) -> None:
        raise OwnError("theirs")

    async def araising(_: object) -> None:
        raising(_)

    hooks = {raising_at: [raising if colour == "sync" else araising]} if raising_at else {}
    given = {"trust_env": False, "event_hooks": hooks, **options}
    if colour == "sync":
        with httpx.Client(**given) as own:
            if closed:
                own.close()
            return make(http_client=own, batch_size=1).embed_documents(texts(5))

    async def run() -> Any:
        async with httpx.AsyncClient(**given) as own:
            if closed:
                await own.aclose()
            return await make(async_http_client=own, batch_size=1).as_async().embed_documents(texts(5))

    return asyncio.run(run())


@BOTH
@pytest.mark.parametrize(("when", "received"), [("request", 0), ("response", 1)])
def test_what_a_hook_of_the_users_raises_ends_the_call_as_it_is_and_nothing_is_replayed(
    make, embeddings_gateway, colour, when, received
):
    with pytest.raises(OwnError) as caught:
        embed_through(make, colour, raising_at=when)
    assert str(caught.value) == "theirs"
    assert len(embeddings_gateway.embedding_requests()) == received


@BOTH
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"closed": True}, "The http_client is closed"),
        ({"headers": {"x header": "canary"}}, "a header of it"),
    ],
    ids=["closed", "a header"],
)
def test_a_client_of_the_users_that_cannot_send_is_a_mistake_that_nothing_leaves_for(
    make, embeddings_gateway, colour, how, words
):
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        embed_through(make, colour, **how)
    assert "billed" not in str(caught.value)
    assert "canary" not in str(caught.value)
    assert embeddings_gateway.embedding_requests() == []


def test_a_header_name_with_a_blank_is_refused_when_the_client_is_made(make, embeddings_gateway):
    with pytest.raises(errors.ConfigurationError, match="'x header' is no header name") as caught:
        make(extra_headers={"x header": "canary"})
    assert "canary" not in str(caught.value)
    assert embeddings_gateway.requests() == []


@BOTH
def test_certificates_that_are_not_there_are_a_mistake_before_any_connection(make, colour, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with serving(answering()) as served:
        client = make(base_url=base_of(served).replace("http:", "https:"), batch_size=1)
        with pytest.raises(errors.ConfigurationError, match="The certificates that SSL_CERT_FILE names") as caught:
            embed(client, texts(5), colour)
        assert served.connections == 0
    assert "billed" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------ what is quoted


@pytest.fixture
def looked_at(monkeypatch) -> list[int]:
    """Note how many inputs each message was searched for."""
    counts: list[int] = []
    redacted = outcome.redacted

    def counting(message: str, inputs: Any) -> str:
        counts.append(len(inputs))
        return redacted(message, inputs)

    monkeypatch.setattr(outcome, "redacted", counting)
    return counts


@BOTH
@pytest.mark.parametrize("status", [400, 403])
def test_only_the_texts_of_the_refused_batch_hide_a_servers_words(make, embeddings_gateway, looked_at, colour, status):
    """400 is of one text, which is found; 403 of its batch, which ends the call."""
    given = [f"{DECLINED}, they said for the {number}th time" for number in range(200)]
    given[40:44] = texts(4)
    embeddings_gateway.trouble("status", status=status, message=DECLINED, only_if_contains="number 2", times=None)
    with pytest.raises(errors.APIError) as caught:
        embed(make(batch_size=4), given, colour)
    assert caught.value.positions == ((42,) if status == 400 else (40, 41, 42, 43))
    assert f"It says: {DECLINED!r}." in str(caught.value)
    assert looked_at
    assert max(looked_at) <= 4


@BOTH
@pytest.mark.parametrize("status", [400, 403])
def test_a_servers_words_that_the_refused_batch_holds_are_hidden(make, embeddings_gateway, colour, status):
    given = texts(40)
    given[22] = f"{DECLINED}, they said"
    embeddings_gateway.trouble("status", status=status, message=DECLINED, only_if_contains="Lisbon", times=None)
    with pytest.raises(errors.APIError) as caught:
        embed(make(batch_size=4), given, colour)
    assert 22 in caught.value.positions
    assert "Lisbon" not in str(caught.value)
