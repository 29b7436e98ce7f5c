"""Law 12. What users bring from other clients is named, and so is what to write here."""

from __future__ import annotations

import inspect

import pytest

from openrouter_embeddings import ConfigurationError, ProfileWarning

CALLED_HERE = {
    "request_timeout": "timeout",
    "default_timeout": "timeout",
    "chunk_size": "batch_size",
    "embed_batch_size": "batch_size",
    "truncate": "on_too_long",
    "truncation": "on_too_long",
    "truncate_input_tokens": "on_too_long",
    "http_async_client": "async_http_client",
    "query_instruction": "query_prefix",
    "text_instruction": "document_prefix",
    "max_workers": "max_concurrency",
    "num_workers": "max_concurrency",
    "default_headers": "extra_headers",
    "headers": "extra_headers",
    "additional_kwargs": "extra_body",
    "model_kwargs": "extra_body",
    "openai_api_key": "api_key",
    "openrouter_api_key": "api_key",
    "openai_api_base": "base_url",
    "openrouter_api_base": "base_url",
    "api_base": "base_url",
    "api_base_url": "base_url",
}
PEERS = {
    "langchain_core": {
        "OpenAI": "model dimensions deployment openai_api_version api_version openai_api_base base_url openai_api_type"
        " openai_proxy embedding_ctx_length openai_api_key api_key openai_organization organization allowed_special"
        " disallowed_special chunk_size max_retries request_timeout timeout headers tiktoken_enabled tiktoken_model_name"
        " show_progress_bar model_kwargs skip_empty default_headers default_query retry_min_seconds retry_max_seconds"
        " http_client http_async_client check_embedding_ctx_length client async_client",
        "Voyage": "model batch_size show_progress_bar truncation output_dimension voyage_api_key api_key base_url",
        "Cohere": "client async_client model truncate cohere_api_key embedding_types max_retries request_timeout user_agent"
        " base_url",
        "NVIDIA": "model truncate dimensions max_batch_size nvidia_api_key api_key base_url nvidia_base_url default_headers"
        " verify_ssl trucate usage_telemetry_enabled",
    },
    "llama_index.core": {
        "OpenAI": "mode model model_name embed_batch_size dimensions additional_kwargs api_key api_base api_version"
        " max_retries timeout reuse_client callback_manager default_headers http_client async_http_client num_workers"
        " embeddings_cache rate_limiter",
        "Voyage": "model_name voyage_api_key embed_batch_size truncation output_dtype output_dimension callback_manager"
        " num_workers embeddings_cache rate_limiter",
        "Cohere": "cohere_api_key api_key model_name truncate input_type embedding_type embed_batch_size callback_manager"
        " base_url timeout max_retries httpx_client httpx_async_client num_workers embeddings_cache rate_limiter",
        "NVIDIA": "model timeout max_retries nvidia_api_key api_key base_url embed_batch_size callback_manager truncate"
        " dimensions model_name http_client async_http_client num_workers embeddings_cache rate_limiter",
    },
    "haystack": {
        "OpenAI": "api_key model dimensions api_base_url organization prefix suffix batch_size progress_bar"
        " meta_fields_to_embed embedding_separator timeout max_retries http_client_kwargs raise_on_failure",
        "Voyage": "model api_key input_type truncate prefix suffix output_dimension output_dtype batch_size"
        " metadata_fields_to_embed embedding_separator progress_bar timeout max_retries",
        "Cohere": "api_key model input_type api_base_url truncate use_async_client timeout batch_size progress_bar"
        " meta_fields_to_embed embedding_separator embedding_type",
        "NVIDIA": "model api_key api_url prefix suffix batch_size progress_bar meta_fields_to_embed embedding_separator"
        " truncate timeout",
    },
}
"""The words of each framework's own constructors for these services."""
NOT_NEEDED = [
    "check_embedding_ctx_length",
    "tiktoken_enabled",
    "tiktoken_model_name",
    "skip_empty",
    "deployment",
    "organization",
    "show_progress_bar",
]
SHOWN_OTHERWISE = {
    ("haystack", "show_progress_bar"): "Option 'show_progress_bar' is called progress_bar here.",
    ("llama_index.core", "show_progress_bar"): "Option 'show_progress_bar' is not taken: the batch methods take"
    " show_progress=True.",
}
"""Frameworks that have a word of their own for it."""


@pytest.mark.parametrize("word", CALLED_HERE)
def test_a_word_of_another_client_is_answered_with_ours(kind, make, sent, word):
    """The error names the option to write, as this framework calls it.

    Troubleshooting: "unknown" means that the adapter does not look into the table of words.
    """
    if word in kind.own_words:
        return
    ours = CALLED_HERE[word]
    ours = "api_base_url" if kind.needs == "haystack" and ours == "base_url" else ours
    with pytest.raises(ConfigurationError) as caught:
        make(**{word: "anything"})
    assert str(caught.value).startswith(f"Option {word!r} is called {ours} here")
    assert sent() == []


@pytest.mark.parametrize("word", ["input_type", "task_type", "embed_type"])
def test_the_one_input_type_of_other_clients_is_two_here(kind, make, word):
    """Queries and documents are marked apart.

    Troubleshooting: an object that takes one value embeds queries as documents.
    """
    if word in kind.own_words:
        return
    with pytest.raises(ConfigurationError) as caught:
        make(**{word: "search_query"})
    if kind.needs == "haystack":
        assert str(caught.value) == f"Option {word!r} is called input_type here."
    else:
        assert "query_input_type and document_input_type" in str(caught.value)


@pytest.mark.parametrize("word", NOT_NEEDED)
def test_what_is_not_needed_here_is_said_with_the_reason(kind, make, word):
    """There is no such option, because there is nothing to set.

    Troubleshooting: a similar name as a hint would lead somewhere else.
    """
    with pytest.raises(ConfigurationError) as caught:
        make(**{word: True})
    if (kind.needs, word) in SHOWN_OTHERWISE:
        assert str(caught.value) == SHOWN_OTHERWISE[kind.needs, word]
        return
    assert str(caught.value).startswith(f"Option {word!r} is not needed: ")
    assert str(caught.value).endswith(". Leave it out.")


@pytest.mark.parametrize("peer", ["OpenAI", "Voyage", "Cohere", "NVIDIA"])
def test_every_word_of_a_peers_constructor_is_taken_or_answered(kind, make, peer):
    """Whoever comes from another class of the same framework is told what to write.

    Troubleshooting: the words that are left need a line in the table of words.
    """
    unknown = []
    for word in PEERS.get(kind.needs, {}).get(peer, "").split():
        try:
            kind.construct(object.__new__(kind), {"model": "m", word: "anything"})
        except (ValueError, TypeError) as error:  # refused for its value: the word itself is known
            if "is unknown" in str(error) or "unexpected keyword" in str(error):
                unknown.append(word)
    assert unknown == []


def test_a_misspelt_option_is_answered_with_the_nearest(make):
    """What is newer than the release has a place too.

    Troubleshooting: an object that is made all the same drops what the user asked for.
    """
    with pytest.raises(ConfigurationError) as caught:
        make(max_concurency=3)
    assert str(caught.value) == (
        "Option 'max_concurency' is unknown. Did you mean 'max_concurrency'? A request field newer than this release goes"
        " under extra_body."
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("chunk_size", "chunk_size= is no keyword of a call. Pass batch_size= when the object is made."),
        ("dimensions", "dimensions= is no keyword of a call. Pass dimensions= when the object is made."),
        ("input_type", "input_type= is for .client.embed("),
        ("task_type", "task_type= is for .client.embed("),
        ("zzz", "zzz= is no keyword of a call."),
    ],
)
def test_a_keyword_of_a_call_is_never_swallowed(kind, make, sent, texts, word, says):
    """The method's own keywords aside, each is an error that says where it belongs.

    Troubleshooting: a `**kwargs` of the framework drops it in silence.
    """
    if kind.needs not in {"langchain_core", "llama_index.core"}:
        return  # the core's methods and Haystack's components name their keywords: Python refuses the others
    method = {
        ("langchain_core", False): "embed_documents",
        ("langchain_core", True): "aembed_documents",
        ("llama_index.core", False): "get_text_embedding_batch",
        ("llama_index.core", True): "aget_text_embedding_batch",
    }[kind.needs, kind.is_async]
    subject = make()
    with pytest.raises(ConfigurationError) as caught:
        answer = getattr(subject.parts[0], method)(texts, **{word: 5})
        if inspect.isawaitable(answer):
            subject._array(answer)
    assert str(caught.value).startswith(says)
    assert sent() == []


def test_a_warning_names_the_line_of_the_users(kind, make, gateway, texts):
    """A model that no profile knows: the warning points at what the user has written, not at an adapter or a framework.

    Troubleshooting: a package that stands between the two is missing in `openrouter_embeddings._warn`.
    """
    gateway.configure(models={"our-embedder": 64})
    with pytest.warns(ProfileWarning) as caught:
        make(model="our-embedder", dimensions=None).embed_documents(texts[:2])
    assert [warning.filename for warning in caught] == [inspect.getfile(kind)]


def test_advice_names_what_the_framework_has(kind, make, gateway, texts):
    """An error speaks of the address and the listing by the names that the caller can write.

    Troubleshooting: the core's name in a framework that has another is advice that cannot be followed.
    """
    gateway.trouble("redirect", location="/elsewhere")
    with pytest.raises(Exception, match="Set ") as caught:
        make().embed_documents(texts[:1])
    assert ("Set api_base_url to" if kind.needs == "haystack" else "Set base_url to") in str(caught.value)
    gateway.trouble("status", status=404, message="No endpoints found for this model")
    with pytest.raises(Exception, match="list_models") as caught:
        make().embed_documents(texts[:1])
    named = " list_models()" if kind.needs == "openrouter_embeddings" else " .client.list_models()"
    assert named in str(caught.value)
