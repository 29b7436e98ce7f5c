"""Faults of the connection and of HTTP itself: what arrives is late, cut, or no answer at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openrouter_embeddings import ConnectionFailedError, ServerError, TimedOutError

from .server import Fault, Request, Wire, http, right_answer, right_body

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MANY = 300_000_000
Act = Callable[[Wire, Request], None]


def _bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def says(make: Callable[[Request], bytes]) -> Act:
    """Return a fault that sends some bytes and closes the connection."""
    return lambda wire, request: wire.send(make(request))


def chunked(request: Request, size: str | None = None, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return the right answer in two chunks, with what may be wrong of them."""
    body = right_body(request)
    first, second = _half(body), body[len(body) // 2 :]
    wrong = size or f"{len(second):x}"
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return start + b"%x\r\n%s\r\n" % (len(first), first) + f"{wrong}\r\n".encode() + second + b"\r\n" + end


# ------------------------------------------------------------------------------------------------------------ too late


def hang(wire: Wire, request: Request) -> None:
    """Never answer."""
    wire.hang()


def hang_in_headers(wire: Wire, request: Request) -> None:
    """Begin to answer."""
    wire.send(HEAD)
    wire.hang()


def hang_in_body(wire: Wire, request: Request) -> None:
    """Answer half."""
    wire.send(_half(right_answer(request)))
    wire.hang()


def header_drip(wire: Wire, request: Request) -> None:
    """Send a header's value for ever, byte by byte."""
    wire.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    wire.drip_for_ever(b"a")


def status_line_drip(wire: Wire, request: Request) -> None:
    """Send a reason for ever."""
    wire.send(b"HTTP/1.1 200 ")
    wire.drip_for_ever(b"O")


def body_drip(wire: Wire, request: Request) -> None:
    """Send blanks before a JSON body for ever."""
    wire.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
    wire.drip_for_ever(b" ")


def chunk_drip(wire: Wire, request: Request) -> None:
    """Send small chunks for ever."""
    wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    wire.drip_for_ever(b"1\r\n \r\n")


def drip_then_hang(wire: Wire, request: Request) -> None:
    """Send a few bytes, each in time, then none."""
    wire.drip(_bytes(right_answer(request)[:30]))
    wire.hang()


def continue_drip(wire: Wire, request: Request) -> None:
    """Promise an answer for ever."""
    wire.drip_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n")


LATE = [
    Fault(act.__name__, act, TimedOutError)
    for act in (
        hang,
        hang_in_headers,
        hang_in_body,
        header_drip,
        status_line_drip,
        body_drip,
        chunk_drip,
        drip_then_hang,
        continue_drip,
    )
]

# ----------------------------------------------------------------------------------------------------------------- cut


def nothing(wire: Wire, request: Request) -> None:
    """Close the connection."""


def reset(wire: Wire, request: Request) -> None:
    """Break the connection."""
    wire.reset()


def reset_in_body(wire: Wire, request: Request) -> None:
    """Answer half, and break the connection."""
    wire.send(_half(right_answer(request)))
    wire.reset()


CUT = [
    # Where the end comes before the client is done with connecting, the breaker opens.
    Fault("closed_at_accept", nothing, ConnectionFailedError, at_accept=True, closes_gate=True),
    Fault("reset_at_accept", reset, ConnectionFailedError, at_accept=True, closes_gate=True),
    Fault("closed_after_request", nothing, ConnectionFailedError),
    Fault("reset_after_request", reset, ConnectionFailedError),
    Fault("reset_in_body", reset_in_body, ConnectionFailedError),
    Fault("cut_in_status_line", says(lambda request: b"HTTP/1.1 2"), ConnectionFailedError),
    Fault("cut_in_headers", says(lambda request: HEAD + b"Content-Le"), ConnectionFailedError),
    Fault("cut_after_headers", says(lambda request: HEAD + b"Content-Length: 9\r\n\r\n"), ConnectionFailedError),
    Fault("cut_in_body", says(lambda request: _half(right_answer(request))), ConnectionFailedError),
    Fault("cut_in_last_byte", says(lambda request: right_answer(request)[:-1]), ConnectionFailedError),
    Fault("cut_in_chunk", says(lambda request: chunked(request)[:-20]), ConnectionFailedError),
    Fault("no_last_chunk", says(lambda request: chunked(request, end=b"")), ConnectionFailedError),
]

# -------------------------------------------------------------------------------------------------------- no such HTTP

NOT_HTTP = [
    Fault(name, says(make), error)
    for name, make, error in [
        ("length_not_a_number", lambda r: http(right_body(r), length="many"), ConnectionFailedError),
        ("length_negative", lambda r: http(right_body(r), length="-1"), ConnectionFailedError),
        ("length_too_long", lambda r: http(right_body(r), length="9" * 30), ConnectionFailedError),
        ("lengths_differ", lambda r: http(right_body(r), "Content-Length: 7"), ConnectionFailedError),
        ("lengths_equal", lambda r: http(right_body(r), f"Content-Length: {len(right_body(r))}"), None),
        ("chunked_right", chunked, None),
        ("chunk_size_not_a_number", lambda r: chunked(r, size="zz"), ConnectionFailedError),
        ("chunk_size_negative", lambda r: chunked(r, size="-5"), ConnectionFailedError),
        ("chunk_size_endless", lambda r: chunked(r, size="F" * 40), ConnectionFailedError),
        ("chunk_too_short", lambda r: chunked(r, size="5"), ConnectionFailedError),
        ("unknown_transfer_coding", lambda r: http(right_body(r), "Transfer-Encoding: rot13"), ConnectionFailedError),
        ("status_not_a_number", lambda r: b"HTTP/1.1 abc OK\r\n\r\n", ConnectionFailedError),
        ("status_out_of_range", lambda r: http(right_body(r), status="999 What"), ServerError),
        ("version_unknown", lambda r: right_answer(r).replace(b"HTTP/1.1", b"HTTP/7.7", 1), None),
        ("garbage", lambda r: bytes(range(256)) * 20, ConnectionFailedError),
        ("greeting_of_another_protocol", lambda r: b"220 mail ESMTP ready\r\n", ConnectionFailedError),
        ("bare_body", right_body, ConnectionFailedError),
        ("http_1_0_until_close", lambda r: b"HTTP/1.0 200 OK\r\n\r\n" + right_body(r), None),
        ("switching_protocols", lambda r: b"HTTP/1.1 101 Go on\r\nUpgrade: x\r\n\r\n", ConnectionFailedError),
        ("a_hundred_continues", lambda r: b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + right_answer(r), None),
        ("early_hints", lambda r: b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" + right_answer(r), None),
        ("huge_header", lambda r: http(right_body(r), "X-Huge: " + "a" * 1_000_000), ConnectionFailedError),
        ("endless_headers", lambda r: HEAD + b"X-One: of many\r\n" * 20_000, ConnectionFailedError),
        ("header_without_colon", lambda r: http(right_body(r), "no colon here"), ConnectionFailedError),
        ("header_with_nul", lambda r: http(right_body(r), "X-Nul: a\0b"), ConnectionFailedError),
        ("header_folded", lambda r: http(right_body(r), "X-Folded: a\r\n b"), None),
        ("header_not_ascii", lambda r: http(right_body(r), "X-Latin: caf\xe9"), None),
        ("blank_line_first", lambda r: b"\r\n" + right_answer(r), ConnectionFailedError),
    ]
]
