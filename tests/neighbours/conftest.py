"""What else runs in a user's application. `nox -s neighbours` runs these tests; without its word nothing is collected."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

collect_ignore_glob = [] if "OPENROUTER_EMBEDDINGS_NEIGHBOURS" in os.environ else ["*.py"]


@pytest.fixture
def gateway(embeddings_gateway, monkeypatch):
    """A fresh gateway, and its address and a key where an embedder looks for them, in child processes too."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-canary-31d7")
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return embeddings_gateway


@pytest.fixture
def run_script(gateway, tmp_path):
    """Run a script as a user does: a process of its own, which comes to its end and says nothing on stderr."""

    def run(text, name="script.py"):
        script = tmp_path / name
        script.write_text(dedent(text))
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "all right\n")

    return run
