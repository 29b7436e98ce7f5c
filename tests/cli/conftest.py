"""A folder of its own, the local gateway, and the command in this process."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("typer") and find_spec("rich") and find_spec("pyarrow") else ["test_*.py"]

MODEL = "openai/text-embedding-3-small"


@pytest.fixture
def command(monkeypatch, embeddings_gateway, tmp_path):
    """Run the command in an empty folder; nothing but an exit may come out of it."""
    from typer.testing import CliRunner

    from openrouter_embeddings.cli.app import app

    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-test-key")
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, text=None):
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=text)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return run


@pytest.fixture
def embed(command):
    """Run `embed` with a small model."""
    return lambda *arguments, text=None: command("embed", *arguments, "--model", MODEL, "--dimensions", 64, text=text)
