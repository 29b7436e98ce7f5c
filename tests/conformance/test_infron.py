"""The other gateway's dialect over HTTP: where its cost stands, how it words "no credit", whose key it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from openrouter_embeddings import InsufficientCreditsError, ModelNotFoundError, track_usage

KEY = "infron-canary-90ab"
COST = 0.25


class Infron:
    """A server that answers as Infron does: floats, the cost beside `usage`, `infron_ai_error`."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.refusal: tuple[int, str] | None = None
        infron = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                infron.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, said = infron.answer(body)
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body."""
        if self.refusal is not None:
            status, message = self.refusal
            message += " (request id: 20261120)"
            return status, {"error": {"message": message, "type": "infron_ai_error", "param": "", "code": str(status)}}
        rows = [{"index": at, "embedding": [float(len(text)), 1.0]} for at, text in enumerate(body["input"])]
        usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
        return 200, {"model": body["model"], "data": rows, "usage": usage, "cost": COST}

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def infron(monkeypatch: pytest.MonkeyPatch) -> Iterator[Infron]:
    monkeypatch.setenv("INFRON_API_KEY", KEY)
    server = Infron()
    yield server
    server.close()


@pytest.fixture
def subject(make, infron):
    """The subject under test, at the other gateway."""
    return make(gateway="infron", base_url=infron.url, dimensions=None, batch_size=2)


def test_rows_and_costs_are_read_where_they_stand(subject, infron):
    """The cost beside `usage` is added up like the other gateway's, also in a block.

    Troubleshooting: a cost of zero means that it is looked for inside `usage` only.
    """
    with track_usage() as usage:
        rows = subject.embed_documents(["a", "bb", "ccc"])
    np.testing.assert_array_equal(rows, np.asarray([[1, 1], [2, 1], [3, 1]], dtype=np.float32))
    assert usage.total == subject.usage
    assert (usage.requests, usage.total_tokens, usage.cost) == (2, 3, 2 * COST)


def test_it_gets_its_own_key_and_what_it_understands(subject, infron):
    """OpenRouter's key, headers and documented `input_type` values do not travel to another service.

    Troubleshooting: the other key in the header is a leak.
    """
    subject.embed_query("a")
    ((headers, body),) = infron.received
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not [name for name in headers if name.startswith("x-openrouter")]
    assert set(body) == {"model", "input", "encoding_format"}


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((403, "Your credits have been used up"), InsufficientCreditsError),
        ((503, "No available providers for model X"), ModelNotFoundError),
    ],
    ids=["no credits", "no such model"],
)
def test_its_words_are_read_as_what_they_mean(subject, infron, refusal, error):
    """A 403 that speaks of credit and a 503 about the model's name end the job: trying again cannot help.

    Troubleshooting: more requests mean that the status alone decides.
    """
    infron.refusal = refusal
    with pytest.raises(error):
        subject.embed_documents(["a"])
    assert len(infron.received) == 1
    assert subject.usage.requests == 1
