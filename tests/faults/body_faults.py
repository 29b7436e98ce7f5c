"""Faults of the answer's body: HTTP carries it rightly, but it is not what a client may use."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from openrouter_embeddings import EmbeddingError, ModelNotFoundError, RateLimitError, ResponseError, ServerError

from ..support.answers import WIDTH, Answer
from ..support.bodies import BODIES, changed
from .server import Fault, Request, Wire, answer_to, http, right_body
from .wire_faults import says

BOMB = 512 << 20
PLAIN = 300_000_000

# ------------------------------------------------------------------------------------------------------ packed and huge


@lru_cache(maxsize=1)
def gzip_bomb() -> bytes:
    """Return half a gigabyte of blanks, packed into half a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    blanks = b" " * (1 << 20)
    return b"".join(packer.compress(blanks) for _ in range(BOMB >> 20)) + packer.flush()


def plain_bomb(wire: Wire, request: Request) -> None:
    """Send 300 MB before the answer."""
    wire.send(http(b"", length=str(PLAIN)))
    blanks = b" " * (1 << 20)
    wire.send(*(blanks for _ in range(PLAIN // len(blanks))))


def packed(pack: Callable[[bytes], bytes], label: str) -> Callable[[Request], bytes]:
    """Return what makes an answer with a body packed in some way, and a label."""
    return lambda request: http(pack(right_body(request)), f"Content-Encoding: {label}")


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _in_two(data: bytes) -> bytes:
    return gzip.compress(data[:50]) + gzip.compress(data[50:])


PACKED = [
    Fault("gzip_bomb", says(lambda request: http(gzip_bomb(), "Content-Encoding: gzip")), ResponseError, heals=False),
    Fault("plain_bomb", plain_bomb, ResponseError, heals=False),
    *(
        Fault(name, says(packed(pack, label)), error)
        for name, pack, label, error in [
            ("gzip_right", gzip.compress, "gzip", None),
            ("gzip_of_several_megabytes", lambda data: gzip.compress(data.ljust(2 << 20)), "gzip", None),
            ("gzip_of_many_pieces", lambda data: gzip.compress(data.ljust(5_000_001), 1), "gzip", None),
            ("gzip_under_another_name", gzip.compress, "X-GZip", None),
            ("deflate_right", zlib.compress, "deflate", None),
            ("identity", bytes, "identity", None),
            ("gzip_cut", lambda data: gzip.compress(data)[:-20], "gzip", ResponseError),
            ("gzip_without_its_sum", lambda data: gzip.compress(data)[:-4], "gzip", ResponseError),
            ("gzip_with_a_wrong_sum", lambda data: gzip.compress(data)[:-8] + bytes(8), "gzip", ResponseError),
            ("gzip_of_nothing", lambda data: b"", "gzip", ResponseError),
            ("gzip_of_plain_json", bytes, "gzip", ResponseError),
            ("gzip_in_two_members", _in_two, "gzip", ResponseError),
            ("deflate_garbage", lambda data: bytes(range(256)), "deflate", ResponseError),
            ("deflate_without_its_head", _raw_deflate, "deflate", ResponseError),
            ("packed_twice", lambda data: gzip.compress(gzip.compress(data)), "gzip, gzip", ResponseError),
            ("brotli_never_asked_for", lambda data: b"\x1b" + data, "br", ResponseError),
            ("encoding_unknown", bytes, "rot13", ResponseError),
        ]
    ),
]

# ------------------------------------------------------------------------------------------------------- a strange body


def _sent(body: bytes | str, **rest: Any) -> Callable[[Request], bytes]:
    return lambda request: http(body.encode() if isinstance(body, str) else body, **rest)


def _echo(request: Request) -> bytes:
    """Refuse with a message that holds the key and every text."""
    key = next(line for line in request.head.decode().split("\r\n") if line.lower().startswith("authorization"))
    said = f"{key} may not embed {' and '.join(request.body['input'])}"
    return http(json.dumps({"error": {"code": 500, "message": said}}).encode(), status="500 Internal Server Error")


def _echo_in_200(request: Request) -> bytes:
    return http(_echo(request).partition(b"\r\n\r\n")[2])


def _echo_as_page(request: Request) -> bytes:
    return http(b"<p>" + request.head + json.dumps(request.body).encode(), kind="text/html")


def _error(code: Any, **rest: Any) -> str:
    return json.dumps({"error": {"code": code, "message": "No successful provider responses.", **rest}})


HTML = "<html><head><title>Attention Required!</title></head><body>edge network</body></html>"
STRANGE = [
    Fault(name, says(make), error, heals=heals, closes_gate=error is RateLimitError)
    for name, make, error, heals in [
        ("plain_text_label", lambda r: http(right_body(r), kind="text/plain"), None, True),
        ("no_content_type", lambda r: http(right_body(r), kind=None), None, True),
        ("wrong_charset_label", lambda r: http(right_body(r), kind="application/json; charset=utf-16"), None, True),
        ("unknown_charset_label", lambda r: http(right_body(r), kind="application/json; charset=x"), None, True),
        ("page", _sent(HTML, kind="text/html"), ResponseError, True),
        ("length_too_short", lambda r: http(right_body(r), length="60"), ResponseError, True),
        ("events", _sent("data: {}\n\ndata: [DONE]\n\n", kind="text/event-stream"), ResponseError, True),
        ("status_201", lambda r: http(right_body(r), status="201 Created"), ResponseError, True),
        ("status_203", lambda r: http(right_body(r), status="203 Changed"), ResponseError, True),
        ("status_204", _sent(b"", status="204 No Content"), ResponseError, True),
        ("status_206", lambda r: http(right_body(r), status="206 Partial Content"), ResponseError, True),
        ("status_304", _sent(b"", status="304 Not Modified"), ResponseError, False),
        ("status_500_with_embeddings", lambda r: http(right_body(r), status="500 Oh"), ServerError, True),
        ("error_429_in_200", _sent(_error(429)), RateLimitError, True),
        ("error_404_in_200", _sent(_error(404)), EmbeddingError, True),
        ("error_500_as_text_in_200", _sent(_error("500")), ServerError, True),
        ("error_without_code_in_200", _sent('{"error":{}, "data":null}'), EmbeddingError, True),
        ("error_is_text_in_200", _sent('{"error":"went wrong"}'), EmbeddingError, True),
        ("error_of_odd_types", _sent(_error([1], metadata=3, availability="x", status={})), EmbeddingError, True),
        ("error_status_404", _sent(_error(404), status="404 Not Found"), ModelNotFoundError, False),
        ("error_beside_data", lambda r: http(right_body(r)[:-1] + b',"error":{"code":500}}'), ServerError, True),
        ("echo_of_key_and_texts", _echo, ServerError, True),
        ("echo_of_key_and_texts_in_200", _echo_in_200, ServerError, True),
        ("echo_of_key_and_texts_as_page", _echo_as_page, ResponseError, True),
    ]
]

# ------------------------------------------------------------------------------------------------------------- redirects


def redirect(status: int, location: str) -> Fault:
    """Return a fault that sends the client elsewhere."""
    head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    return Fault(f"redirect_{status}", says(lambda request: head), ResponseError, heals=False)


REDIRECT_STATUSES = (300, 301, 302, 303, 307, 308)

# ------------------------------------------------------------------------------------------------ the embeddings are wrong


def _of_another_width(answer: Answer, data: list[dict[str, Any]]) -> None:
    for row in data:
        row["embedding"] = answer.encoded([0.5] * WIDTH * 2)


def _of_the_table(make: Callable[[Answer], bytes]) -> Callable[[Request], bytes]:
    # An empty answer to base64 is followed by a request for floats at once: it needs a new connection.
    return lambda request: http(make(answer_to(request)), "Connection: close")


def body_faults() -> Iterator[Fault]:
    """Yield every fault of this page but the redirects, which need a place to go."""
    yield from PACKED
    yield from STRANGE
    for body in BODIES:
        yield Fault(body.name, says(_of_the_table(body.make)), None if body.complaint is None else ResponseError)
    yield Fault("vectors_of_another_width", says(_of_the_table(changed(_of_another_width))), ResponseError)
