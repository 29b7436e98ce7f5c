"""What a call asks for: the options, the profile and the gateway's own ways, in one."""

from __future__ import annotations

import pytest

from openrouter_embeddings import ConfigurationError, Content, ImagePart
from openrouter_embeddings._flows.settings import CallSettings, body_fields, check_input_type, marking
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import Marking, profile_for

from .worlds import call_of

PLAIN, SELECTABLE, PREFIXED = "thenlper/gte-base", "openai/text-embedding-3-small", "intfloat/e5-base-v2"


def settings_of(input_type: str = "document", **how) -> CallSettings:
    return call_of(["1"], input_type, **how).settings


@pytest.mark.parametrize(
    ("options", "input_type", "expected"),
    [
        ({}, "document", (False, 300.0, 5, None)),
        ({}, "query", (True, 30.0, 2, 30.0)),
        ({"call_timeout": 5.0}, "query", (True, 30.0, 2, 5.0)),
        ({"call_timeout": 90.0}, "query", (True, 30.0, 2, 90.0)),
        ({"call_timeout": 5.0}, "document", (False, 300.0, 5, 5.0)),
        ({"retry_timeout": 4.0, "max_retries": 1}, "query", (True, 4.0, 1, 30.0)),
        ({"urgent": False}, "query", (False, 300.0, 5, None)),
    ],
)
def test_a_single_query_goes_first_and_takes_half_a_minute_at_most(options, input_type, expected):
    settings = settings_of(input_type, **options)
    assert (settings.urgent, settings.wait_budget, settings.max_retries, settings.call_timeout) == expected


def test_several_queries_in_one_call_are_bulk_work():
    assert not call_of(["1", "2"], "query").settings.urgent


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        (SELECTABLE, {}, False),
        (SELECTABLE, {"dimensions": 256}, True),
        (SELECTABLE, {"dimensions": 1536}, False),
        (SELECTABLE, {"dimensions": 256, "normalize": False}, False),
        (PLAIN, {"dimensions": 256}, False),
        (PLAIN, {"normalize": True}, True),
    ],
)
def test_embeddings_are_scaled_where_the_user_says_so_or_a_cut_one_is_no_unit_any_more(model, options, expected):
    assert settings_of(model=model, **options).normalize is expected


@pytest.mark.parametrize(
    ("model", "dimensions", "expected"),
    [(SELECTABLE, 256, True), (SELECTABLE, 5000, False), (SELECTABLE, None, False), (PLAIN, 256, False)],
)
def test_embeddings_may_be_cut_only_where_the_family_was_trained_for_it(model, dimensions, expected):
    settings = settings_of(model=model, dimensions=dimensions, dimensions_fallback=True)
    assert (settings.cuttable, settings.cuts) == (expected, True)


def test_content_goes_without_a_prefix_of_its_own_and_asks_for_floats():
    content = Content.of("a cat", ImagePart("https://example.com/a.png"))
    model = "nvidia/llama-nemotron-embed-vl-1b-v2:free"
    settings = call_of([content], model=model, document_prefix="p: ").settings
    assert (settings.prefix, settings.encoding) == ("", "float")
    assert call_of([content], model=model, encoding_format="base64").settings.encoding == "base64"


def test_messages_name_the_address_where_it_is_not_the_gateways_own():
    assert settings_of().gateway == "openrouter"
    assert "127.0.0.1:8088" in settings_of(base_url="http://127.0.0.1:8088/v1").gateway


def test_what_the_user_sets_wins_over_the_profile_and_no_mark_is_doubled():
    profile = profile_for(PREFIXED)
    by_profile = marking(Options(model=PREFIXED), profile, "query")
    assert by_profile == Marking(prefix="query: ")
    assert marking(Options(model=PREFIXED, query_input_type="q"), profile, "query") == Marking(input_type="q")
    assert marking(Options(model=PREFIXED, query_prefix=""), profile, "query") == Marking()
    assert marking(Options(model=PREFIXED, query_prefix="my: "), profile, "query") == Marking(prefix="my: ")
    assert marking(Options(model=PREFIXED, query_prefix="my: "), profile, "document") == Marking(prefix="passage: ")


def test_an_unknown_model_gets_the_gateways_values_unless_naming_them_would_rule_out_providers():
    unknown = profile_for("new/model")
    assert marking(Options(model="new/model"), unknown, "query") == Marking(input_type="search_query")
    strict = Options(model="new/model", provider={"require_parameters": True})
    assert marking(strict, unknown, "query") == Marking()


def test_the_profile_of_another_name_holds_and_the_name_on_the_wire_stays():
    settings = settings_of("query", model="my-alias", profile=PREFIXED)
    assert (settings.prefix, settings.fields["model"]) == ("query: ", "my-alias")


@pytest.mark.parametrize(
    ("model", "wire"), [("openrouter/qwen/qwen3-embedding-8b", "qwen/qwen3-embedding-8b"), ("openrouter/auto",) * 2]
)
def test_a_name_of_the_gateways_own_goes_out_whole(model, wire):
    assert body_fields(Options(model=model), None)["model"] == wire


def test_the_body_holds_nothing_that_is_null_and_what_the_user_adds_wins():
    options = Options(model="m", dimensions=3, extra_body={"dimensions": 4, "provider": {"zdr": True}})
    assert body_fields(options, None) == {"model": "m", "dimensions": 4, "provider": {"zdr": True}}


@pytest.mark.parametrize("wrong", ["passage", "", None, "Query"])
def test_an_input_type_that_does_not_exist_is_refused_with_the_way_to_say_it(wrong):
    with pytest.raises(ConfigurationError, match="Use 'query' or 'document'"):
        check_input_type(wrong)
