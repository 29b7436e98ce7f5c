"""A head waits for what follows it, and nothing else waits."""

from __future__ import annotations

import pytest

from openrouter_embeddings._transport.whole_requests import WholeRequests

from ...support.sockets import http, serving

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([HEAD, b"{}", b""], [b"", HEAD + b"{}", b""]),
        ([HEAD, b""], [b"", HEAD]),  # no body, or that of CONNECT
        ([HEAD, b"", HEAD, b"{}"], [b"", HEAD, b"", HEAD + b"{}"]),
        ([HEAD, b"like a head\r\n\r\n", b""], [b"", HEAD + b"like a head\r\n\r\n", b""]),
        ([b"\x05\x01\x00", b"\x05\x01"], [b"\x05\x01\x00", b"\x05\x01"]),  # SOCKS
        ([b""], [b""]),
    ],
)
def test_a_head_goes_with_what_follows_it(written, sent):
    requests = WholeRequests()
    assert [requests.joined(piece) for piece in written] == sent


@pytest.mark.parametrize("body", [b'{"input":"a"}', None])
def test_a_small_request_comes_as_one_piece(exchange, body):
    def act(connection, served):
        served.requests.append(connection.recv(65536))
        connection.sendall(http())

    with serving(act) as served:
        assert exchange(served.url, body).status == 200
    (request,) = served.requests
    assert request.endswith(b"\r\n\r\n" + (body or b""))
