"""The command line in front of other servers: aliases, marks, no key, no encryption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ALIAS, MARKED = "our-embedder", "voyageai/voyage-4"


@pytest.fixture
def server(command, embeddings_gateway, monkeypatch):
    """Run a command against a server that speaks OpenAI's dialect."""
    embeddings_gateway.configure(models={ALIAS: 1024})
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-other")
    place = ["--gateway", "openai-compatible", "--base-url", embeddings_gateway.base_url]
    return lambda *arguments: command(*arguments, *place, text="one\ntwo\n")


def test_a_profile_marks_what_an_alias_hides(server, embeddings_gateway):
    result = server("embed", "-", "--model", ALIAS, "--profile", MARKED, "--out", "o.npy")
    assert result.exit_code == 0, result.output
    (request,) = embeddings_gateway.embedding_requests()
    assert (request.body["model"], request.body["input_type"]) == (ALIAS, "document")


def test_a_key_for_another_server_has_a_variable_of_its_own(server, embeddings_gateway, monkeypatch):
    assert server("embed", "-", "--model", MARKED, "--out", "o.npy").exit_code == 0
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY")  # OPENROUTER_API_KEY is set, and stays at home
    assert server("embed", "-", "--model", MARKED, "--out", "o.npy", "--no-cache").exit_code == 4
    first, last = [request.headers["authorization"] for request in embeddings_gateway.embedding_requests()]
    assert (first, last) == ("present", "absent")


@pytest.mark.parametrize("side", ["query", "document"])
def test_marks_of_ones_own_are_sent(server, embeddings_gateway, side):
    marks = [f"--{side}-input-type", "mine", f"--{side}-prefix", "say: "]
    result = server("embed", "-", "--model", ALIAS, "--side", side, *marks, "--out", "o.npy")
    assert result.exit_code == 0, result.output
    body = embeddings_gateway.embedding_requests()[0].body
    assert (body["input_type"], body["input"]) == ("mine", ["say: one", "say: two"])


@pytest.mark.filterwarnings("always::openrouter_embeddings.ProfileWarning")
def test_a_guess_is_said_in_one_line(server):
    result = server("embed", "-", "--model", ALIAS, "--out", "o.npy", "--quiet")
    assert result.exit_code == 0
    assert result.stderr.startswith("ProfileWarning: No profile is known for model 'our-embedder'")
    assert result.stderr.count("\n") == 1


def test_a_profile_that_is_not_known_is_said(server, embeddings_gateway):
    result = server("embed", "-", "--model", ALIAS, "--profile", "nobodys", "--out", "o.npy")
    assert result.exit_code == 2
    assert "profile names a model that is not known: 'nobodys'" in result.stderr
    assert not embeddings_gateway.requests()


def test_an_alias_is_listed_and_checked(server):
    listed = server("models", "--json")
    assert ALIAS in [model["id"] for model in json.loads(listed.stdout)]
    checked = server("check", ALIAS, "--profile", MARKED, "--json")
    assert json.loads(checked.stdout)["model"]["profile"] == "voyage"


@pytest.mark.parametrize(
    "arguments", [["models"], ["check", ALIAS], ["embed", "-", "--model", ALIAS, "--out", "o.npy"]], ids=lambda a: a[0]
)
def test_plain_http_to_another_machine_is_refused_unless_it_is_allowed(command, arguments):
    place = ["--gateway", "openai-compatible", "--base-url", "http://server.invalid:7997/v1"]
    refused = command(*arguments, *place, text="")
    assert refused.exit_code == 2
    assert "allow_plain_http" in refused.stderr
    assert not Path("o.npy").exists()


def test_plain_http_that_is_allowed_leaves_this_machine(command, monkeypatch):
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *_, **__: asked.append(host) or [])
    place = ["--gateway", "openai-compatible", "--base-url", "http://server.invalid:7997/v1", "--allow-plain-http"]
    assert command("models", *place).exit_code == 5
    assert {name if isinstance(name, str) else name.decode() for name in asked} == {"server.invalid"}
