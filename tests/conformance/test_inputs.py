"""Law 12. Nothing is guessed in silence: what cannot be right is an error before any request, and says what to do."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import ConfigurationError, InputError


def test_an_empty_text_is_named_before_any_request(make, sent, texts):
    """The gateway would refuse the whole batch; the error says where the text stands.

    Troubleshooting: a request means that inputs are checked one batch at a time.
    """
    with pytest.raises(InputError, match="Input 2 is empty") as caught:
        make().embed_documents([texts[0], texts[1], "", texts[2]])
    assert caught.value.positions == (2,)
    assert sent() == []


def test_an_empty_query_is_refused_before_any_request(make, sent):
    """The query is an input like any other.

    Troubleshooting: a request that is answered 400 means that only lists are checked.
    """
    with pytest.raises(InputError, match="is empty"):
        make().embed_query("")
    assert sent() == []


def test_no_input_means_no_request(make, sent):
    """An empty list gives an empty result, with nothing spent and no key needed.

    Troubleshooting: a request with an empty `input` is a 400 that the user has to understand.
    """
    subject = make()
    assert len(subject.embed_documents([])) == 0
    assert sent() == []
    assert subject.usage.requests == 0


def test_an_unknown_option_is_refused_with_the_nearest_name(make):
    """A misspelt option is an error when the object is made.

    Troubleshooting: an object that is made all the same drops what the user wanted. `TypeError` is Python's own word
    for it, where the constructor lists its options.
    """
    with pytest.raises((ConfigurationError, TypeError), match="dimension"):
        make(dimension=64)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dimensions", 0),
        ("dimensions", "many"),
        ("batch_size", -1),
        ("max_concurrency", 0),
        ("timeout", 0),
        ("max_retries", -1),
        ("encoding_format", "hex"),
        ("base_url", "ftp://example.org"),
        ("base_url", "http://example.org/api/v1"),
        ("model", ""),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(make, sent, option, value):
    """Each option is checked when the object is made; plain http is refused off this machine.

    Troubleshooting: an error at the first request instead means that the framework's object is made before the core's.
    """
    with pytest.raises(ConfigurationError, match=option):
        make(**{option: value})
    assert sent() == []


def test_a_missing_key_is_named_at_the_first_request(make, monkeypatch, sent, texts):
    """Saved objects load without a key; using one without is an error that names the variable to set.

    Troubleshooting: a 401 means that a request left without a key.
    """
    monkeypatch.delenv("OPENROUTER_API_KEY")
    subject = make()
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        subject.embed_documents(texts[:3])
    assert sent() == []


def test_a_key_that_is_set_later_is_found(kind, make, monkeypatch, truth, texts):
    """A key from the environment is read when it is needed.

    Troubleshooting: an error means that its absence was remembered.
    """
    monkeypatch.delenv("OPENROUTER_API_KEY")
    subject = make()
    monkeypatch.setenv("OPENROUTER_API_KEY", "later")
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)


def test_a_width_that_is_not_the_one_asked_for_is_an_error(make, gateway, texts):
    """A gateway that ignores `dimensions` would fill an index with rows that do not fit.

    Troubleshooting: rows of another width mean that `dimensions` is sent and forgotten.
    """
    gateway.trouble("ignore_dimensions", times=None)
    with pytest.raises(Exception, match="1536 dimensions where 64 were asked for"):
        make().embed_documents(texts[:3])


def test_any_text_that_is_unicode_is_taken(make, sent):
    """Line breaks, emoji, right-to-left, combining marks, NUL: each goes out as it is and gets an embedding.

    Troubleshooting: two equal rows mean that texts were normalised or stripped on the way.
    """
    odd = ["a\nb", " a\nb ", "née", "ne\u0301e", "עברית", "🚲🚲", "tab\tand\x00nul", "x" * 5000]
    rows = make().embed_documents(odd)
    assert np.isfinite(rows).all()
    assert [text for one in sent() for text in one.body["input"]] == odd


def test_numbers_and_truths_are_taken_as_settings_files_and_numpy_give_them(kind, make, gateway, sent, texts):
    """`"64"` from YAML or the environment and `np.int64(64)` mean 64, `"true"` is True; what is neither is refused.

    Troubleshooting: a `ConfigurationError` means that an adapter checks before it converts; a width of its own type in
    a dump, that it does not convert at all.
    """
    given = {"dimensions": np.int64(32), "batch_size": np.int32(10), "timeout": np.float32(30)}
    if kind.needs != "openrouter_embeddings":  # the core's own options are written in Python
        given |= {"dimensions": "32", "retry_timeout": "0.5", "max_cost": "1"}
        given |= {"normalize": "true", "coalesce_queries": "no", "dimensions_fallback": np.bool_(False)}
    subject = make(**given)
    assert subject.embed_documents(texts[:20]).shape == (20, 32)
    assert [one.inputs for one in sent()] == [10, 10]
    assert not any("numpy" in dump or "np." in dump for dump in subject.dumps())
    for wrong in ("many", "", "nan", "-1", "1.5"):
        with pytest.raises(ConfigurationError, match="dimensions"):
            make(dimensions=wrong)
    with pytest.raises(ConfigurationError, match="normalize"):
        make(normalize="perhaps")
