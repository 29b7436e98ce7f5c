"""The pytest plugin, in a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

CONFTEST = """
    import pytest

    @pytest.fixture(scope="session")
    def embeddings_gateway_options():
        return {"models": {"acme/embed-1": 12}, "cap": 5}
"""
TESTS = """
    import httpx

    def post(gateway, model):
        body = {"model": model, "input": "a"}
        headers = {"Authorization": "Bearer k"}
        return httpx.post(f"{gateway.base_url}/embeddings", json=body, headers=headers, trust_env=False)

    def test_the_options_hold(embeddings_gateway):
        assert embeddings_gateway.settings()["cap"] == 5
        assert len(post(embeddings_gateway, "acme/embed-1").json()["data"][0]["embedding"]) == 12
        assert post(embeddings_gateway, "acme/embed-2").status_code == 400
        embeddings_gateway.configure(cap=None, lenient=True)
        assert post(embeddings_gateway, "acme/embed-2").status_code == 200

    def test_the_next_test_finds_them_as_they_were(embeddings_gateway):
        assert embeddings_gateway.settings()["cap"] == 5
        assert post(embeddings_gateway, "acme/embed-2").status_code == 400
        assert embeddings_gateway.usage()["requests"] == 1
"""


def test_options_of_a_conftest_hold_for_the_session_and_changes_for_a_test(tmp_path):
    (tmp_path / "conftest.py").write_text(textwrap.dedent(CONFTEST))
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
