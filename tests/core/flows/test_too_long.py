"""Texts that are too long for the model: an error, cut, or averaged, as the user chose; never in silence."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings import Client, InputTooLongError, InsufficientCreditsError, MemoryCache, TimedOutError
from openrouter_embeddings._flows.too_long import (
    _candidate_lengths,
    _fraction_from_message,
    _split_text,
    surely_too_long,
)
from openrouter_embeddings._protocol import TOO_LONG

from ...simulation.answers import answer_with, refusal
from ...simulation.world import World
from . import worlds

MODEL = "openai/text-embedding-3-small"
LONG = " ".join(f"word{number}" for number in range(6_000))
COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])
CHOICES = pytest.mark.parametrize("choice", ["truncate", "average"])


@pytest.fixture
def make(embeddings_gateway):
    def build(**options) -> Client:
        return Client(MODEL, api_key="sk-test", base_url=embeddings_gateway.base_url, **options)

    return build


def embed(client: Client, texts: list[str], colour: str = "sync", **options):
    if colour == "sync":
        return client.embed_documents(texts, **options)
    return asyncio.run(client.as_async().embed_documents(texts, **options))


@COLOURS
@CHOICES
def test_a_text_too_long_is_shortened_and_said_to_be(make, colour, choice):
    texts = ["a", LONG, "b", "c", LONG, "d"]
    result = embed(make(on_too_long=choice), texts, colour)
    assert result.shortened == (1, 4)
    alone = embed(make(), ["a", "b", "c", "d"], colour).embeddings
    assert np.allclose(result.embeddings[[0, 2, 3, 5]], alone, atol=1e-6)
    assert np.linalg.norm(result.embeddings[1]) == pytest.approx(1.0, abs=1e-4)
    assert (result.embeddings[1] == result.embeddings[4]).all()


def test_the_cut_keeps_most_of_what_fits(make):
    usage = embed(make(on_too_long="truncate"), [LONG]).usage
    assert 8191 * 0.7 <= usage.prompt_tokens <= 8191


def test_the_average_stands_for_the_whole_text(make):
    ends = "cats and dogs " * 5_000 + "interest rates and bonds " * 5_000
    row = embed(make(on_too_long="average"), [ends]).embeddings[0]
    first, last = embed(make(), ["cats and dogs " * 100, "interest rates and bonds " * 100]).embeddings
    assert float(row @ first) > 0.4
    assert float(row @ last) > 0.4


@CHOICES
def test_a_second_run_with_a_cache_pays_nothing_for_the_pieces(make, embeddings_gateway, tmp_path, choice):
    options = {"on_too_long": choice, "cache": tmp_path / "e.sqlite"}
    first = embed(make(**options), ["a", LONG])
    paid = embeddings_gateway.paid_inputs()
    second = embed(make(**options), ["a", LONG])
    assert embeddings_gateway.paid_inputs() == paid
    assert (first.embeddings == second.embeddings).all()
    assert second.shortened == (1,)


def test_the_profile_decides_where_no_tokenizer_could_make_it_fit(make, embeddings_gateway):
    huge = LONG * 20
    result = embed(make(on_too_long="truncate"), [huge])
    assert result.shortened == (0,)
    assert all(len(request.body["input"][0]) < len(huge) for request in embeddings_gateway.embedding_requests())


def test_it_is_an_error_by_default(make):
    with pytest.raises(InputTooLongError, match="or set on_too_long"):
        embed(make(), [LONG])


def test_usage_counts_every_piece(make, embeddings_gateway):
    client = make(on_too_long="average")
    result = embed(client, [LONG])
    assert result.usage.requests == len(embeddings_gateway.embedding_requests())
    assert client.usage == result.usage


def test_no_credit_in_the_middle_of_the_pieces_ends_the_call(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=402, after=2, times=None)
    with pytest.raises(InsufficientCreditsError) as caught:
        embed(make(on_too_long="average", batch_size=1, max_concurrency=1), ["a", LONG])
    assert caught.value.partial.positions_done == (0,)
    assert caught.value.positions == (1,)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("maximum context length is 8192 tokens, however you requested 16384 tokens", 0.97 / 2),
        ("at most 8,192 tokens, got 16,384", 0.97 / 2),
        ("too long", None),
        ("at most 512 tokens", None),
    ],
)
def test_the_refusal_may_name_what_fits(message, told):
    assert _fraction_from_message(message) == (None if told is None else pytest.approx(told))


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 50))
def test_pieces_are_the_text(text, size):
    pieces = _split_text(text, size)
    assert all(len(piece) <= size for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_ever_smaller_lengths_are_tried_and_none_at_which_no_length_is_at_fault():
    lengths = list(_candidate_lengths("a" * 1000, TOO_LONG, None))
    assert lengths[0] == 500
    assert all(later < earlier for earlier, later in itertools.pairwise(lengths))
    assert min(lengths) >= 8
    assert next(_candidate_lengths("a" * 1000, TOO_LONG, 100)) == 400


def test_only_what_no_tokenizer_could_make_fit_is_surely_too_long():
    assert surely_too_long("a" * 801, 100)
    assert not surely_too_long("a" * 800, 100)
    assert not surely_too_long("a" * 801, None)
    assert not surely_too_long([{"type": "text"}], 1)


# ---------------------------------------------------------------------------------------------------- in virtual time


def at_most(length: int, latency: float = 0.1):
    """Return a gateway that refuses longer texts; an embedding tells how long its text was."""

    def gateway(world, request):
        if any(len(text) > length for text in request.inputs):
            return latency, refusal(400, "maximum context length exceeded")
        rows = [{"index": index, "embedding": [float(len(text)), 1.0]} for index, text in enumerate(request.inputs)]
        return latency, answer_with(request, rows)

    return gateway


@CHOICES
def test_a_call_that_waited_for_a_text_that_was_shortened_says_so_too(choice):
    world = World(at_most(100), on_too_long=choice)
    first = world.call(world.embed(["a" * 300]))
    second = world.call(world.embed(["b", "a" * 300]), start=0.05)
    world.run()
    assert first.outcomes[0].shortened == (0,)
    assert second.outcomes[0].shortened == (1,)
    assert second.outcomes[0].usage.shared == 1
    assert (first.outcomes[0].embeddings[0] == second.outcomes[0].embeddings[1]).all()


@CHOICES
def test_a_resumed_call_knows_what_was_shortened_before(choice):
    gateway = at_most(100)

    def failing(world, request):
        return (0.1, refusal(402)) if request.inputs == ["b"] else gateway(world, request)

    world = World(failing, on_too_long=choice, batch_size=1, max_concurrency=1)
    with pytest.raises(InsufficientCreditsError) as caught:
        worlds.embed(world, ["a" * 300, "b"])
    again = World(gateway, on_too_long=choice)
    assert worlds.embed(again, ["a" * 300, "b"], resume=caught.value.partial).shortened == (0,)
    assert [request.inputs for request in again.requests] == [["b"]]


def test_the_pieces_are_averaged_by_length_and_the_mean_is_as_long_as_they_are():
    world = World(at_most(100), on_too_long="average", cache=MemoryCache())
    row = worlds.embed(world, ["a" * 300]).embeddings[0]
    pieces = [request.inputs for request in world.requests if request.status == 200]
    assert sum(len(piece) for inputs in pieces for piece in inputs) == 300
    assert row[0] == pytest.approx(75.0, rel=0.02)


def test_a_text_that_no_length_lets_in_is_an_error_that_names_it():
    world = World(at_most(0), on_too_long="truncate")
    with pytest.raises(InputTooLongError) as caught:
        worlds.embed(world, ["a" * 300, "a" * 400])
    assert caught.value.positions == (0, 1)
    assert len(world.requests) <= 40


def test_a_call_whose_time_is_over_in_the_middle_of_the_pieces_names_the_text():
    world = World(at_most(100, latency=1.0), on_too_long="truncate", call_timeout=1.5)
    with pytest.raises(TimedOutError) as caught:
        worlds.embed(world, ["a" * 300])
    assert caught.value.positions == (0,)
    assert world.now <= 3.0
