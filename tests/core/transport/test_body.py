"""The bytes of an answer, decompressed piece by piece and never past the bound."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._transport import accepted_encodings
from openrouter_embeddings._transport import body as module
from openrouter_embeddings._transport.body import BadEncoding, Body, TooLarge, zstd_module

TEXT = b'{"data": [' + b"0.25, " * 20_000 + b"1]}"
needs_zstd = pytest.mark.skipif(zstd_module() is None, reason="no zstd here")


def zstd(data: bytes) -> bytes:
    return zstd_module().compress(data)


PACKED = [
    pytest.param("", bytes, id="none"),
    pytest.param("identity", bytes, id="identity"),
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param(" GZip ", gzip.compress, id="gzip in other letters"),
    pytest.param("x-gzip", gzip.compress, id="x-gzip"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("zstd", zstd, id="zstd", marks=needs_zstd),
]


def fed(encoding: str, data: bytes, *, step: int = 65_536, max_bytes: int = 10_000_000) -> Body:
    body = Body(encoding, max_bytes)
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])
    return body


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
@pytest.mark.parametrize("text", [TEXT, b"{}", b""], ids=["long", "short", "empty"])
def test_a_body_is_read_however_it_is_packed(encoding, pack, text):
    assert fed(encoding, pack(text)).whole() == text


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
def test_a_body_is_read_in_whatever_pieces_it_comes(encoding, pack):
    assert fed(encoding, pack(TEXT), step=1 if encoding.strip() else 997).whole() == TEXT


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=5))
def test_where_pieces_end_changes_nothing(text: bytes, ends: list[int]):
    packed = gzip.compress(text)
    body = Body("gzip", 2000)
    for start, end in itertools.pairwise([0, *sorted(ends), len(packed)]):
        body.feed(packed[start:end])
    assert body.whole() == text


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzip,identity", "compress", "\xff"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding):
    with pytest.raises(BadEncoding):
        Body(encoding, 1000)


def test_zstd_is_refused_where_nothing_unpacks_it(monkeypatch):
    monkeypatch.setattr(module, "zstd_module", lambda: None)
    with pytest.raises(BadEncoding):
        Body("zstd", 1000)


@pytest.mark.parametrize(("encoding", "pack"), PACKED[2:])
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_packed_body_that_stops_in_the_middle_is_no_body(encoding, pack, cut):
    with pytest.raises(BadEncoding):
        fed(encoding, pack(TEXT)[:-cut]).whole()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", pytest.param("zstd", marks=needs_zstd)])
@pytest.mark.parametrize("data", [b"", b"not packed at all", TEXT], ids=["nothing", "words", "the text itself"])
def test_what_is_not_packed_as_its_header_says_is_no_body(encoding, data):
    with pytest.raises(BadEncoding):
        fed(encoding, data).whole()


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
def test_as_much_as_is_allowed_may_come_and_no_byte_more(encoding, pack):
    assert fed(encoding, pack(TEXT), max_bytes=len(TEXT)).whole() == TEXT
    with pytest.raises(TooLarge):
        fed(encoding, pack(TEXT), max_bytes=len(TEXT) - 1)


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()


def zstd_bomb() -> bytes:
    packer = zstd_module().ZstdCompressor()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()


@pytest.mark.parametrize(("encoding", "bomb"), [("gzip", gzip_bomb), pytest.param("zstd", zstd_bomb, marks=needs_zstd)])
def test_a_bomb_is_not_unpacked(encoding, bomb):
    """A quarter of a gigabyte in a few hundred kilobytes, all of which come at once."""
    data = bomb()
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            fed(encoding, data, step=len(data), max_bytes=4 << 20)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("compression", "zstd_here", "accepted"),
    [
        ("auto", True, "zstd"),
        ("auto", False, "identity"),
        ("gzip", True, "gzip, deflate"),
        ("gzip", False, "gzip, deflate"),
        ("none", True, "identity"),
    ],
)
def test_only_what_can_be_unpacked_cheaply_is_asked_for_unless_the_link_is_slow(
    monkeypatch, compression, zstd_here, accepted
):
    monkeypatch.setattr(module, "zstd_module", lambda: object() if zstd_here else None)
    assert accepted_encodings(compression) == accepted
