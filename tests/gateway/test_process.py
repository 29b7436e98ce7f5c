"""The process: it starts, says where it is, and ends with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from openrouter_embeddings_gateway import LocalGateway
from openrouter_embeddings_gateway.model import hashed_model

COMMAND = [sys.executable, "-m", "openrouter_embeddings_gateway", "--port", "0"]


def gone(url, seconds=10.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            httpx.get(f"{url}/key", trust_env=False)
        except httpx.TransportError:
            return True
        time.sleep(0.05)
    return False


def test_a_gateway_starts_answers_and_stops():
    with LocalGateway(api_key="only-this") as gateway:
        body = {"model": "baai/bge-m3", "input": "a"}
        for key, status in (("only-this", 200), ("another", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            answer = httpx.post(f"{gateway.base_url}/embeddings", json=body, headers=headers, trust_env=False)
            assert answer.status_code == status
        assert repr(gateway) == f"LocalGateway(base_url={gateway.base_url!r})"
    assert gone(gateway.base_url, 1)
    gateway.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_gateway_does_not_outlive_its_parent():
    script = (
        "import time; from openrouter_embeddings_gateway import LocalGateway; "
        "gateway = LocalGateway(); print(gateway.base_url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        url = parent.stdout.readline().strip()
        assert not gone(url, 0.1)
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(url)


def test_a_missing_model_is_announced_everywhere(tmp_path):
    """A package of that name without weights stands in front of the real one."""
    (tmp_path / "wordllama").mkdir()
    (tmp_path / "wordllama" / "__init__.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [*COMMAND, "--exit-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    ) as process:
        url = process.stdout.readline().split()[-1]
        body = {"model": "baai/bge-m3", "input": ["a cat"]}
        answer = httpx.post(f"{url}/embeddings", json=body, headers={"Authorization": "Bearer k"}, trust_env=False)
        assert answer.headers["x-embedding-model"] == "hashed-ngrams-256"
        listed = httpx.get(f"{url}/embeddings/models", trust_env=False).json()["data"][0]
        assert "a stand-in without a trained model" in listed["description"]
        _, said = process.communicate(input="")
    assert "serves hashed character n-grams, a stand-in without a trained model" in said


def test_the_stand_in_places_like_words_near_each_other():
    model = hashed_model()
    rows = model.embed(model.tokenize(["embedding", "embeddings", "volcano"]))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert rows[0] @ rows[1] > 0.5
    assert rows[0] @ rows[2] < 0.2


def test_a_port_that_is_taken_is_an_error_in_words(embeddings_gateway):
    port = embeddings_gateway.base_url.split(":")[-1].split("/")[0]
    ended = subprocess.run([*COMMAND[:-1], port], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


# ------------------------------------------------------------------------------------- the command, as a user types it

SMALL = "openai/text-embedding-3-small"
MISSPELT = "openai/text-embedding-3-smal"


@contextlib.contextmanager
def typed(*arguments: str) -> Iterator[Callable[..., httpx.Response]]:
    """Start the command with arguments, and yield what asks it for the embedding of a text."""
    with subprocess.Popen(
        [*COMMAND, "--exit-with-stdin", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[-1]

        def ask(model: str, **fields: Any) -> httpx.Response:
            body = {"model": model, "input": "a cat", **fields}
            return httpx.post(f"{url}/embeddings", json=body, headers={"Authorization": "Bearer k"}, trust_env=False)

        yield ask
        process.communicate(input="")


def width(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return len(answer.json()["data"][0]["embedding"])


def test_the_command_refuses_a_misspelt_model_and_a_provider_that_does_not_exist():
    with typed() as ask:
        assert width(ask(SMALL)) == 1536
        refused = ask(MISSPELT)
        assert refused.status_code == 400
        assert MISSPELT in refused.json()["error"]["message"]
        refused = ask(SMALL, provider={"only": ["nosuch-provider"]})
        assert refused.status_code == 404
        assert refused.json()["error"]["availability"]["excluded_by"] == ["allowed_providers"]
        assert width(ask(SMALL, provider={"only": ["nearby"]})) == 1536


def test_the_lenient_command_answers_to_a_misspelt_model_and_to_any_provider():
    with typed("--lenient") as ask:
        assert width(ask(MISSPELT)) > 0
        assert width(ask(SMALL, provider={"only": ["nosuch-provider"]})) == 1536


def test_the_command_serves_the_models_that_are_added_by_their_width_and_no_others():
    with typed("--model", "my/model:32", "--model", "my/other:free:48") as ask:
        assert width(ask("my/model")) == 32
        assert width(ask("my/other:free")) == 48
        assert width(ask(SMALL)) == 1536
        refused = ask("my/modle")
        assert refused.status_code == 400
        assert "my/modle" in refused.json()["error"]["message"]
