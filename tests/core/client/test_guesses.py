"""A model without a profile: that its marking is a guess is said once, at the line of the user's."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from openrouter_embeddings import Client, InputError, ProfileWarning

ALIAS, MARKED = "our-embedder", "voyageai/voyage-4"


@pytest.fixture
def make(embeddings_gateway):
    """Make clients of a gateway that serves a model under an alias."""
    embeddings_gateway.configure(models={ALIAS: 1024})

    def build(model: str = ALIAS, **options) -> Client:
        return Client(model, **{"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url} | options)

    return build


def bodies(gateway) -> list[dict]:
    return [request.body for request in gateway.embedding_requests()]


def test_a_guess_is_said_once_for_a_client_at_the_callers_line(make):
    client = make()
    with pytest.warns(ProfileWarning, match="No profile is known for model 'our-embedder'") as seen:  # noqa: PT031
        client.embed_documents(["a text"])
        client.embed_query("a text")
        asyncio.run(client.as_async().embed_query("another"))
        list(client.embed_stream(["a third"], input_type="document"))
    assert [warning.filename for warning in seen] == [__file__]
    assert "input_type 'search_document' is sent for a document" in str(seen[0].message)


async def awaited(client):
    await client.as_async().embed_documents(["a text"])


WAYS = {
    "async": lambda client: asyncio.run(awaited(client)),
    "stream": lambda client: list(client.embed_stream(["a text"], input_type="query")),
    "coalesced": lambda client: client.embed_query("a text"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_embed_says_it_of_the_users_own_file(make, way):
    with pytest.warns(ProfileWarning) as seen:
        WAYS[way](make(coalesce_queries=way == "coalesced"))
    assert [warning.filename for warning in seen] == [__file__]


def test_a_gateway_without_documented_values_sends_nothing_and_says_so(make, embeddings_gateway):
    with pytest.warns(ProfileWarning, match="so its marking is a guess: nothing is sent for a query"):
        make(gateway="openai-compatible").embed_query("a text")
    assert "input_type" not in bodies(embeddings_gateway)[0]


@pytest.mark.parametrize(
    "options",
    [{"profile": MARKED}, {"query_input_type": "query"}, {"query_input_type": ""}, {"query_prefix": ""}],
    ids=lambda options: str(next(iter(options.items()))),
)
def test_whoever_says_how_the_model_is_marked_hears_nothing(make, options):
    make(**options).embed_query("a text")


def test_a_side_that_the_user_marks_leaves_the_other_a_guess(make):
    client = make(query_prefix="query: ")
    client.embed_query("a text")
    with pytest.warns(ProfileWarning, match="document"):
        client.embed_documents(["a text"])


def test_what_asks_for_no_input_type_says_nothing(make):
    client = make()
    client.list_models()
    client.check_model()
    with pytest.raises(InputError):
        client.embed_documents([""])


def test_a_filter_on_the_category_silences_it(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProfileWarning)
        make().embed_query("a text")


def test_behind_an_alias_the_profile_gives_the_same_marks_and_the_alias_goes_out(make, embeddings_gateway):
    make(profile=MARKED).embed_query("a text")
    make(MARKED).embed_query("a text")
    alias, own = bodies(embeddings_gateway)
    assert alias["model"] == ALIAS
    assert alias["input_type"] == own["input_type"] == "query"
