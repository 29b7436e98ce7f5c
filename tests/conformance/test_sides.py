"""Laws 2 and 3. The framework's method chooses the side, the profile spells it; preferences arrive as they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from openrouter_embeddings import ConfigurationError

TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
TEXT = "  How do I copy\ta whole directory? \n"

PREFERENCES = {
    "order": ["deepinfra", "nebius"],
    "only": ["deepinfra", "nebius", "siliconflow"],
    "ignore": ["novita"],
    "allow_fallbacks": False,
    "require_parameters": True,
    "data_collection": "deny",
    "zdr": True,
    "enforce_distillable_text": False,
    "quantizations": ["bf16", "fp8"],
    "sort": {"by": "price", "partition": "none"},
    "max_price": {"prompt": "0.05"},
    "preferred_min_throughput": {"p50": 1000},
    "preferred_max_latency": 2.5,
    "options": {"deepinfra": {"priority": "high", "type": "flex"}},
}
"""Every preference there is."""


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("qwen/qwen3-embedding-8b", (None, TASK + TEXT), (None, TEXT)),
        ("voyageai/voyage-4", ("query", TEXT), ("document", TEXT)),
        ("intfloat/e5-base-v2", (None, "query: " + TEXT), (None, "passage: " + TEXT)),
    ],
)
def test_a_marked_model_is_told_which_side_a_text_is_on(make, sent, model, query, document):
    """A query and a document of the same text go out each with its mark, and come back different.

    Troubleshooting: equal embeddings mean that both methods of the framework end on one side. A text that arrives
    changed beyond its mark was stripped or joined on the way.
    """
    subject = make(model=model, dimensions=None)
    of_query, of_document = subject.embed_query(TEXT), subject.embed_documents([TEXT])[0]
    received = [(one.body.get("input_type"), _text(one.body["input"])) for one in sent()]
    assert received == [query, document]
    assert 0.3 < float(np.dot(of_query, of_document)) < 0.9999


def test_an_unmarked_model_gets_the_text_and_nothing_else(make, sent):
    """Where the model knows no sides the query and the document are the same, bit for bit.

    Troubleshooting: a difference means that a mark of another model, or of the framework, was added.
    """
    subject = make()
    np.testing.assert_array_equal(subject.embed_query(TEXT), subject.embed_documents([TEXT])[0])
    for one in sent():
        assert _text(one.body["input"]) == TEXT
        assert "input_type" not in one.body


def test_what_the_user_sets_wins_over_the_profile(make, sent):
    """Prefixes and input types of one's own replace the profile's; the empty string sends none.

    Troubleshooting: the profile's mark beside one's own means that the two are added up.
    """
    model = {"model": "qwen/qwen3-embedding-8b"}
    subject = make(**model, query_prefix="Q: ", document_prefix="D: ")
    subject.embed_query("a")
    subject.embed_documents(["a"])
    bare = make(**model, query_prefix="")
    bare.embed_query("a")
    typed = make(model="voyageai/voyage-4", dimensions=256, query_input_type="", document_input_type="passage")
    typed.embed_query("a")
    typed.embed_documents(["a"])
    received = [(one.body.get("input_type"), _text(one.body["input"])) for one in sent()]
    assert received == [(None, "Q: a"), (None, "D: a"), (None, "a"), (None, "a"), ("passage", "a")]


def test_provider_preferences_arrive_verbatim(make, sent):
    """Every preference stands in every request, of both sides, as it was written.

    Troubleshooting: a preference that is missing here is a privacy breach: `data_collection` and `zdr` are among them.
    """
    subject = make(provider=PREFERENCES)
    subject.embed_query("a")
    subject.embed_documents(["a", "b"])
    assert [json.dumps(one.body["provider"], sort_keys=True) for one in sent()] == [
        json.dumps(PREFERENCES, sort_keys=True)
    ] * 2


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        ({"data_colection": "deny"}, "data_collection"),
        ({"data_collection": "never"}, "data_collection"),
        ({"zdr": "yes"}, "zdr"),
        ({"order": "deepinfra"}, "order"),
    ],
)
def test_a_preference_that_cannot_be_sent_is_refused(make, sent, provider, says):
    """A misspelt or mistyped preference is an error when the object is made, and names the right one.

    Troubleshooting: an object that is made all the same would drop the preference in silence.
    """
    with pytest.raises(ConfigurationError, match=says):
        make(provider=provider)
    assert sent() == []


def test_a_preference_newer_than_this_release_goes_through_extra_body(make, gateway, sent):
    """`extra_body` is merged field by field, so that it adds to the preferences and does not replace them.

    Troubleshooting: `zdr` missing means that the merge stops at the top.
    """
    subject = make(provider={"zdr": True}, extra_body={"provider": {"allow_fallbacks": False}, "seed": 7})
    subject.embed_query("a")
    (only,) = sent()
    assert only.body["provider"] == {"zdr": True, "allow_fallbacks": False}
    assert only.body["seed"] == 7


def _text(value):
    """Return the one text of a request, which may stand in a list."""
    return value if isinstance(value, str) else value[0]
