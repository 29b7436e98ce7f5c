"""From options and inputs to a call: what names an input in the cache, and what an earlier call has paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic_core import to_json

from openrouter_embeddings import ConfigurationError, Content, ImagePart, InputError, MemoryCache, TextPart, errors
from openrouter_embeddings.cache import Keyer
from openrouter_embeddings.usage import Usage

from ...simulation.answers import all_right, answer_with, numbers, refusal, right_answer
from ...simulation.world import World
from .worlds import call_of, embed, faultless

MARKED, VISION = "voyageai/voyage-4", "nvidia/llama-nemotron-embed-vl-1b-v2:free"


class WithSecret(MemoryCache):
    """A cache whose keys nobody can guess."""

    secret = b"s" * 32


PICTURE = Content.of("a cat", ImagePart("https://example.com/cat.png"))


def key_of(item, input_type: str = "document", **options) -> bytes:
    call = call_of([item], input_type, **{"model": MARKED, "cache": MemoryCache(), **options})
    return call.keys[0]


# --------------------------------------------------------------------------------------------------------- cache keys


@pytest.mark.parametrize(
    "options",
    [
        {"encoding_format": "float"},
        {"app_title": "t"},
        {"batch_size": 3},
        {"max_concurrency": 1},
        {"user": "u"},
        {"provider": {"data_collection": "deny", "sort": "price"}},
        {"normalize": True},
        {"on_too_long": "truncate"},
    ],
    ids=str,
)
def test_what_does_not_change_the_numbers_does_not_change_the_key(options):
    assert key_of("a", **options) == key_of("a")


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 256},
        {"document_input_type": ""},
        {"document_prefix": "p: "},
        {"provider": {"order": ["deepinfra"]}},
        {"provider": {"quantizations": ["fp8"]}},
        {"provider": {"options": {"voyageai": {"truncate": "END"}}}},
        {"extra_body": {"later": 1}},
        {"base_url": "http://127.0.0.1:1/v1"},
        {"model": "voyageai/voyage-4-lite"},
        {"input_type": "query"},
        {"item": "A"},
        {"cache": WithSecret()},
    ],
    ids=str,
)
def test_what_changes_the_numbers_changes_the_key(options):
    assert key_of(**{"item": "a", **options}) != key_of("a")


def test_two_ways_to_cut_at_one_provider_have_two_keys():
    ends = [{"provider": {"options": {"nvidia": {"truncate": end}}}} for end in ("START", "END")]
    assert key_of("a", **ends[0]) != key_of("a", **ends[1])


def test_a_text_that_spells_the_json_of_content_does_not_share_its_key():
    spelt = to_json(PICTURE.to_wire()).decode()
    assert key_of(spelt, model=VISION, document_prefix="") != key_of(PICTURE, model=VISION, document_prefix="")


def test_the_key_of_a_plain_text_is_the_one_that_was_frozen():
    facts = ["https://openrouter.ai/api/v1", MARKED, None, "document", None, None]
    assert key_of("a") == Keyer(facts).key(b"a")


def test_without_a_cache_no_keys_are_made():
    assert call_of(["a"]).keys is None


# -------------------------------------------------------------------------------------------------------------- inputs


def test_an_input_that_cannot_be_embedded_is_refused_with_its_positions():
    for texts, positions in ((["a", ""], (1,)), (["a", 3], (1,)), (["\ud800", "a"], (0,))):
        with pytest.raises(InputError) as caught:
            call_of(texts)
        assert caught.value.positions == positions


def test_a_marking_counts_among_the_estimated_tokens_of_each_input():
    assert call_of(["x" * 30]).inputs.sizes == [11]
    assert call_of(["x" * 30], document_prefix="p" * 30).inputs.sizes == [21]


def test_content_and_texts_beside_it_go_out_as_content_each_once_and_an_empty_text_not_at_all():
    call = call_of(["", "a", PICTURE, PICTURE, "a"], model=VISION, on_empty="zero", document_prefix="p: ")
    assert call.inputs.index_of_position == [0, 1, 2, 2, 1]
    assert call.inputs.items == ["", Content.of("p: a").to_wire(), PICTURE.to_wire()]
    assert call.unresolved() == [1, 2]
    assert call.outcome.usage == Usage(deduplicated=2)
    assert call.inputs.sizes[2] > 1000


def test_content_that_a_model_or_a_gateway_does_not_take_is_refused():
    with pytest.raises(InputError, match="takes no image") as caught:
        call_of(["a", PICTURE])
    assert caught.value.positions == (1,)
    with pytest.raises(ConfigurationError, match="takes texts only"):
        call_of([PICTURE], gateway="infron")
    assert call_of([PICTURE], model="new/model").unresolved() == [0], "of an unknown model nothing is known"
    assert call_of([Content((TextPart("a"),))]).unresolved() == [0]


# -------------------------------------------------------------------------------------------------------------- resume


def failed_after(count: int, texts: list[str], **options):
    """Return the partial result of a call that failed when so many texts had landed."""

    def gateway(world, request):
        return 0.01, right_answer(request) if len(world.requests) <= count else refusal(402)

    with pytest.raises(errors.InsufficientCreditsError) as caught:
        embed(World(gateway, batch_size=1, max_concurrency=1, **options), texts)
    return caught.value.partial


@pytest.mark.parametrize("landed", [0, 1, 3])
def test_a_call_that_is_resumed_pays_for_the_rest_only(landed):
    texts = ["1", "2", "1", "3", "4"]
    partial, world = failed_after(landed, texts), World(faultless)
    assert all_right(embed(world, texts, resume=partial), texts)
    sent = [text for request in world.requests for text in request.inputs]
    assert sent == numbers(4)[landed:]


@pytest.mark.parametrize(
    ("texts", "how", "says"),
    [
        (numbers(4), {}, "resume is of a call with 5 inputs; this one has 4"),
        (["1", "2", "3", "4", "6"], {}, "other inputs"),
        (["2", "1", "3", "4", "5"], {}, "other inputs"),
        (numbers(5), {"input_type": "query", "query_prefix": "q: "}, "another model, input_type, prefix or width"),
        (numbers(5), {"model": "openai/text-embedding-3-large"}, "another model"),
        (numbers(5), {"document_prefix": "p: "}, "prefix"),
        (numbers(5), {"dimensions": 7}, "width"),
    ],
    ids=["fewer", "other", "order", "input_type", "model", "prefix", "width"],
)
def test_a_partial_result_of_another_call_is_refused_before_anything_is_paid(texts, how, says):
    with pytest.raises(ConfigurationError, match=says):
        call_of(texts, **how, resume=failed_after(2, numbers(5)))


def test_a_partial_result_without_a_fingerprint_is_checked_by_its_width_at_least():
    partial = failed_after(2, numbers(5))
    partial = replace(partial, fingerprint=b"")
    assert call_of(numbers(5), resume=partial).unresolved() == [2, 3, 4]
    with pytest.raises(ConfigurationError, match="resume holds embeddings of 2 dimensions; this call asks for 7"):
        call_of(numbers(5), resume=partial, dimensions=7)


@pytest.mark.parametrize("wrong", [{}, [], "error.partial", ValueError()], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_partial_result_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=rf"resume takes error\.partial, not {type(wrong).__name__}"):
        call_of(["1"], resume=wrong)


def test_answers_of_another_width_than_a_resumed_result_are_an_error_of_ours():
    partial = failed_after(1, numbers(2))

    def wider(world, request):
        rows = [{"index": index, "embedding": [1.0, 2.0, 3.0]} for index in range(len(request.inputs))]
        return 0.01, answer_with(request, rows)

    with pytest.raises(errors.ResponseError, match="have 3 dimensions where 2 were expected") as caught:
        embed(World(wider), numbers(2), resume=partial)
    assert caught.value.partial.positions_done == (0,)
