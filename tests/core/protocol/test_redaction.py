"""The gateway's own words are shown, but no key, and nothing of the caller's texts."""

from __future__ import annotations

import pytest

from openrouter_embeddings._protocol import redacted
from openrouter_embeddings.content import AudioPart, Content, ImagePart

TEXT = "Anna Smith lives at 12 High Street, and nobody knows it yet."


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"Bad input: {TEXT}", "Bad input: [input]"),
        ("cannot embed 'Anna Smith lives at…'", "cannot embed '[input]'"),
        ("cannot embed `Anna`, sorry", "cannot embed `[input]`, sorry"),
        ('cannot embed "12 High..." of item 3', 'cannot embed "[input]" of item 3'),
        ("cannot embed “nobody knows”", "cannot embed “[input]”"),
        ("The model's input 'Smith' isn't taken", "The model's input '[input]' isn't taken"),
        ("near lives at 12 High Street, line 3", "near [input] line 3"),
        (f"{TEXT}{TEXT}", "[input]"),
        (f"{TEXT} and {TEXT}", "[input] and [input]"),
        ("'Anna Smith' lives at 12 High Street", "'[input]' [input]"),
        ("lives at 12 High St", "lives at 12 High St"),
        ("'Ann' is short", "'Ann' is short"),
        ("'of others' is no piece", "'of others' is no piece"),
    ],
)
def test_a_stretch_of_twenty_characters_or_a_quoted_piece_of_an_input_is_masked(message, shown):
    assert redacted(message, ["another text", TEXT]) == shown


@pytest.mark.parametrize(
    "echo", ["Bob Stone\n4 Low Road\nLeeds", "Bob Stone 4 Low Road Leeds", "Bob Stone\\n4 Low Road\\nLeeds"]
)
def test_an_echo_is_known_by_its_words_whatever_became_of_its_lines(echo):
    assert redacted(f"no: {echo}!", ["Bob Stone\n4 Low Road\n\tLeeds"]) == "no: [input]!"


def test_a_short_input_is_masked_wherever_it_stands_whole():
    assert redacted("Bob Stone 1 and Bob Stone 1 again", ["Bob Stone 1"]) == "[input] and [input] again"
    assert redacted("the word no is shown", ["no"]) == "the word no is shown"


def test_the_texts_and_addresses_of_content_are_looked_at_and_not_its_field_names():
    content = Content.of(
        "a text of content that is a secret",
        ImagePart("https://example.org/a/signed/address?key=1"),
        AudioPart.from_bytes(b"some sound" * 9000, "audio/wav"),
    ).to_wire()
    address = "cannot fetch https://example.org/a/signed/address?key=1"
    assert redacted(address, [content]) == "cannot fetch [input]"
    assert redacted("no text of content that is a secret", [content]) == "no [input]"
    assert redacted("cannot read data:audio/wav;base64,c29tZSBzb3VuZH", [content]) == "cannot read [input]"
    assert redacted("'input_audio' is no field of ours, 'content' is", [content]).startswith("'input_audio' is no")


HONEST = [
    "This model's maximum context length is 8192 tokens, however you requested 9000 tokens",
    "Rate limit exceeded: free-models-per-min",
    "No endpoints found matching your data policy",
    "The provider returned an error",
    "Invalid 'dimensions': must be at most 1536",
    "Input validation error: `inputs` must have less than 512 tokens. Given: 516",
    "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
]
"""Messages in which nothing of an input stands."""
COMMON = [
    "The model returned an error, and the provider said that the input was invalid.",
    "Tokens are words. The maximum length of a context is a number, however long your text.",
    "you requested the data policy of the endpoint; found no match",
    "error", "tokens", "input", "the", "a rate limit", "credits",
    "Given: a list of inputs, each must have less. Add more using the settings.",
]  # fmt: skip
"""Texts of the same words, in other sentences."""


def test_honest_messages_about_common_words_survive():
    survived = [message for message in HONEST if redacted(message, COMMON) == message.rstrip(".")]
    assert len(survived) >= 6, set(HONEST) - set(survived)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("bad key sk-or-v1-0123456789abcdef!", "bad key [key]!"),
        ("Incorrect API key provided: sk-pr***wxyz", "Incorrect API key provided: [key]"),
        ("Incorrect API key: abcd****wxyz", "Incorrect API key: [key]"),
        ("Authorization: Bearer abc.def", "Authorization: [key]"),
        ("ask-me is no key", "ask-me is no key"),
    ],
)
def test_what_looks_like_a_key_is_masked(message, shown):
    assert redacted(message, []) == shown


def test_a_key_that_the_end_would_cut_is_masked_first():
    assert "sk-" not in redacted("x" * 290 + " sk-or-v1-0123456789abcdef", [])


def test_a_message_is_cut_and_trimmed():
    assert redacted("  a\n\n b.  ", []) == "a b"
    assert len(redacted("xy" * 400, [])) == 300
    assert redacted("", ["text"]) == redacted(" .\n", ["text"]) == ""
