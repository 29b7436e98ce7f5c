"""What physics and the best hand-written code need: the measure of everything else.

None of these checks its answers' order, width or numbers, retries, counts usage or hides a key.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

try:
    from pybase64 import b64decode_as_bytearray as unbase64
except ImportError:
    from binascii import a2b_base64 as unbase64  # type: ignore[assignment]

MODEL = "openai/text-embedding-3-small"
_MOMENT = 0.03
_HEADERS = {"authorization": "Bearer k", "content-type": "application/json"}


class Row(BaseModel):
    """One row, decoded by pydantic's own base64."""

    model_config = ConfigDict(val_json_bytes="base64")
    embedding: Annotated[bytes | list[float], Field(union_mode="left_to_right")]


class Answer(BaseModel):
    """The part of an answer that matters."""

    model_config = ConfigDict(val_json_bytes="base64")
    data: list[Row]


def encode(texts: Sequence[str]) -> bytes:
    """Return the body of a request."""
    return to_json({"model": MODEL, "encoding_format": "base64", "input": texts})


def decode(body: bytes) -> Any:
    """Return the rows of an answer as one array."""
    rows = Answer.model_validate_json(body).data
    return np.frombuffer(b"".join([row.embedding for row in rows]), "<f4").reshape(len(rows), -1)  # type: ignore[misc]


class RawSocket:
    """A socket, a scan for quotes, SIMD base64: nothing can be much cheaper."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._path = where.path
        self._socket = socket.create_connection((where.hostname, where.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if where.scheme == "https":
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=where.hostname)
        self._buffer = bytearray(1 << 23)

    def documents(self, texts: Sequence[str]) -> Any:
        """Return one array for one request."""
        body = json.dumps({"model": MODEL, "encoding_format": "base64", "input": texts}).encode()
        head = f"POST {self._path}/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        start, end = self._receive()
        buffer, rows, at = self._buffer, [], start
        for _ in texts:
            at = buffer.index(b'"embedding":"', at, end) + 13
            close = buffer.index(b'"', at, end)
            rows.append(unbase64(memoryview(buffer)[at:close]))
            at = close
        return np.frombuffer(b"".join(rows), "<f4").reshape(len(texts), -1)

    def query(self, text: str) -> Any:
        """Return one row."""
        return self.documents([text])[0]

    def _receive(self) -> tuple[int, int]:
        view, got, end = memoryview(self._buffer), 0, 1 << 30
        start = 0
        while got < end:
            got += self._socket.recv_into(view[got:])
            if not start and (head := self._buffer.find(b"\r\n\r\n", 0, got)) >= 0:
                length = self._buffer[:head].lower().index(b"content-length: ") + 16
                start, end = head + 4, head + 4 + int(self._buffer[length:head].split(b"\r\n", 1)[0])
        return start, end


class Httpx:
    """One httpx POST and one pydantic decode."""

    def __init__(self, url: str, encoding: str = "gzip, deflate") -> None:
        self._url = f"{url}/embeddings"
        headers = _HEADERS | {"accept-encoding": encoding}
        self._client = httpx.Client(verify=url.startswith("https"), headers=headers, timeout=60)

    def documents(self, texts: Sequence[str]) -> Any:
        """Return one array for one request."""
        return decode(self._client.post(self._url, content=encode(texts)).content)

    def query(self, text: str) -> Any:
        """Return one row."""
        return self.documents([text])[0]


class HttpxAsync:
    """The same on a loop."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/embeddings"
        self._client = httpx.AsyncClient(verify=False, headers=_HEADERS, timeout=60)

    async def adocuments(self, texts: Sequence[str]) -> Any:
        """Return one array for one request."""
        return decode((await self._client.post(self._url, content=encode(texts))).content)

    async def aquery(self, text: str) -> Any:
        """Return one row."""
        return (await self.adocuments([text]))[0]


class LlamaIndexAlone:
    """What LlamaIndex itself does about texts, its events above all, around an embedder that asks nobody."""

    asks_nobody = True

    def __init__(self, url: str) -> None:
        rows = self._rows = []  # type: list[list[float]]

        def taken(texts: list[str]) -> list[list[float]]:
            found, rows[:] = rows[: len(texts)], rows[len(texts) :]
            return found

        self.documents = _in_llama_index(taken).get_text_embedding_batch

    def prepare(self, texts: Sequence[str]) -> Any:
        """Make the embeddings, each number an object of its own, as an answer's are."""
        self._rows[:] = np.arange(len(texts) * 1536, dtype=np.float32).reshape(len(texts), 1536).tolist()
        return list(texts)


class LlamaIndexByHand:
    """The least that a LlamaIndex embedder can be: one httpx POST, one decode, the floats boxed."""

    def __init__(self, url: str) -> None:
        by_hand = Httpx(url)
        embedder = _in_llama_index(lambda texts: by_hand.documents(texts).tolist())
        self.query, self.documents = embedder.get_query_embedding, embedder.get_text_embedding_batch


def _in_llama_index(embed: Callable[[list[str]], list[list[float]]]) -> Any:
    """Return a LlamaIndex embedder around a function."""
    from llama_index.core.base.embeddings.base import BaseEmbedding

    class Embedder(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return embed([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embed([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embed(texts)

    return Embedder(embed_batch_size=2048)


class Ideal:
    """The bulk client one would write by hand for one server whose limits one knows.

    So many workers over one queue, each row written into its place. `rate` and `burst` are the server's own: no
    request leaves before its token is there, plus a moment for the journey.
    """

    def __init__(
        self, url: str, batch: int = 256, workers: int = 16, rate: float = 0.0, burst: int = 1, dimensions: int = 1536
    ) -> None:
        self._url = f"{url}/embeddings"
        self._batch, self._workers, self._dimensions = batch, workers, dimensions
        self._rate, self._burst = rate, burst
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=workers)
        self._client = httpx.AsyncClient(verify=False, headers=_HEADERS, timeout=60, limits=self._limits)

    async def adocuments(self, texts: Sequence[str]) -> Any:
        """Return one array, filled as answers come."""
        out = np.empty((len(texts), self._dimensions), np.float32)
        starts = iter(range(0, len(texts), self._batch))
        began, sent = time.monotonic(), 0

        async def work() -> None:
            nonlocal sent
            for start in starts:
                if self._rate:
                    due, sent = began + max(0, sent + 1 - self._burst) / self._rate, sent + 1
                    await asyncio.sleep(due + _MOMENT * (due > began) - time.monotonic())
                body = encode(texts[start : start + self._batch])
                answer = (await self._client.post(self._url, content=body)).content
                out[start : start + self._batch] = decode(answer)

        await asyncio.gather(*[work() for _ in range(self._workers)])
        return out
