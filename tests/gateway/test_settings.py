"""The settings: over the control endpoint, on the command line, and in Python."""

from __future__ import annotations

import httpx
import pytest

from openrouter_embeddings_gateway import LocalGateway
from openrouter_embeddings_gateway.cli import _parser, _settings, main
from openrouter_embeddings_gateway.settings import Settings

WRONG = [
    ({"models": {"a/b": 0}}, "models takes widths from 1 to 8192, by model id."),
    ({"models": {"": 8}}, "models takes widths from 1 to 8192, by model id."),
    ({"models": ["a/b:3"]}, "models takes widths from 1 to 8192, by model id."),
    ({"lenient": 1}, "lenient takes true or false."),
    ({"cap": 0}, "cap takes a whole number of requests, at least 1, or nothing."),
    ({"cap": True}, "cap takes a whole number of requests, at least 1, or nothing."),
    ({"rate": 0}, "rate takes requests a second above 0, or nothing."),
    ({"rate": "5"}, "rate takes requests a second above 0, or nothing."),
    ({"burst": 1.5}, "burst takes a whole number of requests, at least 1, or nothing."),
    ({"latency": -1}, "latency takes seconds, 0 or more."),
    ({"faults": 1.1}, "faults takes a share from 0 to 1."),
    ({"fualts": 0.1}, "There is no setting 'fualts'; there are models, lenient, cap, rate, burst, latency, faults."),
]


def test_settings_are_changed_one_by_one_and_a_reset_brings_back_the_first(embeddings_gateway):
    first = dict(embeddings_gateway.settings())
    embeddings_gateway.configure(cap=3, rate=2.5)
    embeddings_gateway.configure(burst=4, cap=None)
    assert embeddings_gateway.settings() == {**first, "rate": 2.5, "burst": 4}
    embeddings_gateway.reset()
    assert embeddings_gateway.settings() == first


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=lambda value: str(value)[:24])
def test_a_wrong_setting_is_an_error_that_says_what_it_takes(embeddings_gateway, wrong, says):
    first = embeddings_gateway.settings()
    for take in (embeddings_gateway.configure, LocalGateway):
        with pytest.raises(ValueError) as caught:
            take(**wrong)
        assert str(caught.value) == says
    assert embeddings_gateway.settings() == first


def test_a_control_body_that_is_none_is_an_error(embeddings_gateway):
    url = embeddings_gateway.base_url.replace("/api/v1", "/_control/settings")
    for content in (b"[1]", b"3", b"{", b'"cap"'):
        assert httpx.post(url, content=content, trust_env=False).status_code == 400


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(models={"a/b": 3, "a/b:free": 4}, lenient=True),
        Settings(cap=2, rate=0.5, latency=0.25, faults=0.1),
        Settings(rate=5, burst=10),
    ],
    ids=str,
)
def test_settings_go_over_the_command_line_and_come_back(settings):
    assert _settings(_parser().parse_args(settings.to_arguments())) == settings


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "a/b"], "--model takes ID:WIDTH, such as acme/embed:768."),
        (["--model", "a/b:wide"], "--model takes ID:WIDTH, such as acme/embed:768."),
        (["--model", ":8"], "models takes widths from 1 to 8192, by model id."),
        (["--rate", "fast"], "--rate takes R[:BURST], such as 5:10."),
        (["--rate", "5:1.5"], "--rate takes R[:BURST], such as 5:10."),
        (["--cap", "0"], "cap takes a whole number of requests, at least 1, or nothing."),
        (["--faults", "nan"], "faults takes a share from 0 to 1."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_ends_the_command_in_words(arguments, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {says}\n")


def test_a_colon_without_a_burst_is_no_burst():
    assert _settings(_parser().parse_args(["--rate", "5:"])) == Settings(rate=5.0)
