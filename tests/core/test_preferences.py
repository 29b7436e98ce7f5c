"""Preferences arrive verbatim, or an error says what to write."""

from decimal import Decimal
from enum import StrEnum
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.preferences import (
    _PREFERENCES,
    MaxPrice,
    Percentiles,
    ProviderPreferences,
    Quantization,
    SortSpec,
    validate_preferences,
)

EVERYTHING: ProviderPreferences = {
    "order": ["deepinfra/turbo", "nebius"],
    "only": ["deepinfra", "nebius"],
    "ignore": [],
    "allow_fallbacks": False,
    "require_parameters": True,
    "data_collection": "deny",
    "zdr": True,
    "enforce_distillable_text": False,
    "quantizations": ["fp16", "bf16"],
    "sort": {"by": "price", "partition": "none"},
    "max_price": {"prompt": "0.1", "request": "0"},
    "preferred_min_throughput": {"p50": 100, "p99": 20.5},
    "preferred_max_latency": 2,
    "options": {"voyageai": {"truncation": False, "nested": [1, 2.5, None, {"a": "ü"}]}},
}


def test_every_field_arrives_verbatim_and_as_a_copy():
    sent = validate_preferences(EVERYTHING)
    assert sent == EVERYTHING
    assert list(sent) == list(EVERYTHING)
    assert sent["order"] is not EVERYTHING["order"]
    assert sent["options"]["voyageai"]["nested"][3] is not EVERYTHING["options"]["voyageai"]["nested"][3]


def test_the_table_and_the_type_name_the_same_fields():
    assert set(_PREFERENCES) == set(ProviderPreferences.__annotations__) == set(EVERYTHING)
    for name, typed in (("max_price", MaxPrice), ("sort", SortSpec), ("preferred_max_latency", Percentiles)):
        for key in typed.__annotations__:
            value = {"by": "price", "partition": "model"}.get(key, 1)
            assert key in validate_preferences({name: {key: value}})[name]


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_preferences_are_none(nothing):
    assert validate_preferences(nothing) is None


def test_a_false_value_is_a_value():
    assert validate_preferences({"zdr": False, "order": [], "preferred_max_latency": 0}) == {
        "zdr": False,
        "order": [],
        "preferred_max_latency": 0,
    }


def test_tuples_become_lists_and_enum_members_their_values():
    class Policy(StrEnum):
        DENY = "deny"

    sent = validate_preferences({"order": ("a", "b"), "quantizations": ("int8",), "data_collection": Policy.DENY})
    assert sent == {"order": ["a", "b"], "quantizations": ["int8"], "data_collection": "deny"}
    assert type(sent["data_collection"]) is str
    assert validate_preferences({"sort": "price"}) == {"sort": "price"}
    assert validate_preferences({"options": {"x": {"list": (1, 2)}}}) == {"options": {"x": {"list": [1, 2]}}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (0.1, "0.1"),
        (1, "1"),
        (0, "0"),
        (1e-7, "0.0000001"),
        (1e6, "1000000.0"),
        (Decimal("0.020"), "0.020"),
        (Decimal("1E+2"), "100"),
        ("0.50", "0.50"),
        (".5", ".5"),
        ("1e-7", "0.0000001"),
        ("2E3", "2000"),
    ],
)
def test_prices_go_out_as_decimal_strings(given, sent):
    assert validate_preferences({"max_price": {"prompt": given}}) == {"max_price": {"prompt": sent}}


@pytest.mark.parametrize("quantization", get_args(Quantization))
def test_every_known_quantization_is_taken(quantization):
    assert validate_preferences({"quantizations": [quantization]}) == {"quantizations": [quantization]}


MONEY = "a finite number of USD, 0 or more, such as 0.1 or '0.1'"
SLUGS = "a list of provider slugs, such as ['deepinfra']"
PERCENTILES = "a mapping of p50, p75, p90 and p99 to such numbers"
KNOWN = (
    "'int4', 'int8', 'fp4', 'mxfp4', 'nvfp4', 'fp6', 'fp8', 'mxfp8', 'fp16', 'bf16', 'fp32' or 'unknown'"  # as listed
)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"data_colection": "deny"},
            (
                "Provider preference 'data_colection' is unknown. Did you mean 'data_collection'? "
                "Put fields newer than this release under extra_body."
            ),
        ),
        (
            {"ZDR": True},
            (
                "Provider preference 'ZDR' is unknown. Did you mean 'zdr'? "
                "Put fields newer than this release under extra_body."
            ),
        ),
        (
            {"wholly_new": 1},
            "Provider preference 'wholly_new' is unknown. Put fields newer than this release under extra_body.",
        ),
        (
            {"max_price": {"promt": 1}},
            (
                "Provider preference 'max_price.promt' is unknown. Did you mean 'max_price.prompt'? "
                "Put fields newer than this release under extra_body."
            ),
        ),
        ({1: "x"}, "The name of a provider preference is a str, not int."),
        ({"zdr": None}, "Provider preference 'zdr' is None. Remove it: null is never sent."),
        ({"sort": {"by": None}}, "Provider preference 'sort.by' is None. Remove it: null is never sent."),
        ({"zdr": "yes"}, "Provider preference 'zdr' takes True or False, not 'yes'."),
        ({"zdr": 1}, "Provider preference 'zdr' takes True or False, not int."),
        ({"order": "deepinfra"}, f"Provider preference 'order' takes {SLUGS}, not 'deepinfra'."),
        ({"only": {"deepinfra"}}, f"Provider preference 'only' takes {SLUGS}, not set."),
        ({"only": ["a", 3]}, f"Provider preference 'only' takes {SLUGS}; item 1 is int."),
        ({"only": [" "]}, f"Provider preference 'only' takes {SLUGS}; item 0 is an empty str."),
        ({"order": ["a\ud800"]}, "Provider preference 'order' holds a lone surrogate, which no UTF-8 can carry."),
        ({"data_collection": "no"}, "Provider preference 'data_collection' takes 'allow' or 'deny', not 'no'."),
        ({"data_collection": False}, "Provider preference 'data_collection' takes 'allow' or 'deny', not bool."),
        ({"data_collection": "x" * 41}, "Provider preference 'data_collection' takes 'allow' or 'deny', not str."),
        (
            {"sort": "cheap"},
            (
                "Provider preference 'sort' takes 'price', 'throughput', 'latency' or 'exacto', "
                "or {'by': ..., 'partition': ...}, not 'cheap'."
            ),
        ),
        (
            {"sort": {"by": "cheap"}},
            "Provider preference 'sort.by' takes 'price', 'throughput', 'latency' or 'exacto', not 'cheap'.",
        ),
        (
            {"sort": {"partition": "all"}},
            "Provider preference 'sort.partition' takes 'model' or 'none', not 'all'.",
        ),
        (
            {"quantizations": "fp16"},
            "Provider preference 'quantizations' takes a list of quantizations, such as ['fp16', 'bf16'], not 'fp16'.",
        ),
        (
            {"quantizations": ["fp16", "fp12"]},
            (
                f"Provider preference 'quantizations' takes a list of {KNOWN}; item 1 is 'fp12'. "
                "Put values newer than this release under extra_body."
            ),
        ),
        (
            {"max_price": 1},
            "Provider preference 'max_price' takes a mapping such as {'prompt': 0.1}, in USD per million tokens, not int.",
        ),
        ({"max_price": {"prompt": True}}, f"Provider preference 'max_price.prompt' takes {MONEY}, not bool."),
        ({"max_price": {"prompt": "cheap"}}, f"Provider preference 'max_price.prompt' takes {MONEY}, not 'cheap'."),
        ({"max_price": {"prompt": "-1"}}, f"Provider preference 'max_price.prompt' takes {MONEY}, not '-1'."),
        ({"max_price": {"prompt": "NaN"}}, f"Provider preference 'max_price.prompt' takes {MONEY}, not 'NaN'."),
        ({"max_price": {"prompt": -0.1}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        ({"max_price": {"prompt": float("nan")}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        ({"max_price": {"prompt": float("inf")}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        ({"max_price": {"prompt": Decimal("sNaN")}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        ({"max_price": {"prompt": 10**400}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        ({"max_price": {"prompt": "1e900"}}, f"Provider preference 'max_price.prompt' takes {MONEY}."),
        (
            {"preferred_max_latency": "fast"},
            f"Provider preference 'preferred_max_latency' takes a number of seconds, or {PERCENTILES}, not 'fast'.",
        ),
        (
            {"preferred_max_latency": True},
            f"Provider preference 'preferred_max_latency' takes a number of seconds, or {PERCENTILES}, not bool.",
        ),
        (
            {"preferred_min_throughput": float("nan")},
            "Provider preference 'preferred_min_throughput' takes a finite number of tokens per second, 0 or more.",
        ),
        (
            {"preferred_min_throughput": {"p90": "1"}},
            "Provider preference 'preferred_min_throughput.p90' takes a number of tokens per second, not '1'.",
        ),
        (
            {"preferred_max_latency": {"p95": 1}},
            (
                "Provider preference 'preferred_max_latency.p95' is unknown. Did you mean 'preferred_max_latency.p99'? "
                "Put fields newer than this release under extra_body."
            ),
        ),
        (
            {"options": []},
            "Provider preference 'options' takes a mapping of provider slugs to mappings of options, not list.",
        ),
        (
            {"options": {"voyageai": 1}},
            "Provider preference 'options.voyageai' takes a mapping of options, not int.",
        ),
        ({"options": {"a": {2: 1}}}, "Provider preference 'options.a' holds a key that is int, not str."),
        (
            {"sort": 5},
            "Provider preference 'sort' takes 'price', 'throughput', 'latency' or 'exacto', or {'by': ..., 'partition': ...}, not int.",
        ),
        ({"options": {1: {}}}, "Provider preference 'options' holds a key that is int, not str."),
        (
            {"options": {"a": {"b": {1}}}},
            "Provider preference 'options.a.b' holds set, which JSON cannot carry.",
        ),
        (
            {"options": {"a": {"b": float("inf")}}},
            "Provider preference 'options.a.b' holds a number that JSON cannot carry: inf.",
        ),
    ],
)
def test_what_cannot_be_sent_is_an_error_that_says_what_to_write(given, text):
    with pytest.raises(ConfigurationError) as caught:
        validate_preferences(given)
    assert str(caught.value) == text


@pytest.mark.parametrize(("given", "kind"), [("deny", "str"), ([], "list"), (False, "bool"), (0, "int")])
def test_preferences_that_are_no_mapping_are_refused(given, kind):
    with pytest.raises(ConfigurationError) as caught:
        validate_preferences(given)
    assert str(caught.value) == (
        f"provider takes a mapping of provider preferences, such as {{'data_collection': 'deny'}}, not {kind}."
    )


def test_options_that_contain_themselves_are_refused():
    loop: dict[str, object] = {}
    loop["again"] = loop
    with pytest.raises(ConfigurationError, match=r"^Provider preference 'options' is nested deeper than 64 levels\.$"):
        validate_preferences({"options": {"a": loop}})


@pytest.mark.parametrize("given", [{"zdr": "yes"}, {"data_colection": "deny"}, {"max_price": {"promt": 1}}])
def test_a_pydantic_field_of_this_type_drops_and_coerces_nothing(given):
    class Settings(BaseModel):
        provider: ProviderPreferences

    assert Settings(provider=EVERYTHING).provider == EVERYTHING
    with pytest.raises(ValidationError):
        Settings(provider=given)
