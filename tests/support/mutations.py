"""Answers that nobody would send on purpose: a corpus, and random changes of it that follow from a seed."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from openrouter_embeddings._protocol import Response


def _encoded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def _whole(rows: list[Any], **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return json.dumps({"object": "list", "data": data, "model": "m", **more}).encode()


USAGE = {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.001}
HUGE = {"prompt_tokens": 10**400, "total_tokens": 10**400, "cost": 10**400}
CORPUS: list[bytes] = [
    _whole([_encoded(1, 2), _encoded(3, 4), _encoded(5, 6)], usage=USAGE, id="gen-1", provider="OpenAI"),
    _whole([[1.0, 2.0], [3.0, 4.0], [5.0, -6e-3]], usage=USAGE),
    _whole([[1.0, 2.0], _encoded(3, 4), [5, 6]]),
    _whole([[1.0, 2.0], _encoded(3, 4), [5, 6]], usage=HUGE),
    b"\xef\xbb\xbf" + _whole([_encoded(1), _encoded(2), _encoded(3)]),
    b'{"error":{"code":429,"message":"slow down","metadata":{"provider_name":"x"}}}',
    b'{"error":{"message":"no","availability":{"code":"model_deprecated","retryable":false,"retry_after":3}}}',
    b'{"error":"text"}',
    b'{"data":[],"error":{"http_status":"503","type":7}}',
    b'{"error":[1],"data":null}',
    b'[{"error":{"code":400,"message":"in a list"}}]',
    b'{"detail":[{"loc":["body","input",3],"msg":"too long","type":"string_too_long"}]}',
    b'{"object":"error","message":{"detail":[{"msg":"no"}]},"code":400}',
    b'{"errors":[{"message":"AiError","code":5006}],"success":false}',
    b"<html><head><title>502 Bad Gateway</title></head></html>",
    b"upstream connect error",
    b"",
    b"null",
    b'{"data":[{"index":0,"embedding":[1e400,-0.0]},{"index":1e0,"embedding":"AAAA"},{"embedding":[[]]}]}',
    b'{"usage":{"cost":1e999,"prompt_tokens":-1,"total_tokens":1e308},"data":[{"embedding":[1]}]}',
]
WORDS: list[bytes] = [
    *(b"NaN", b"Infinity", b"-1e999", b"1e-999", b"9" * 400, b"-0", b"1E5", b"0x1", b"null", b"true", b"[]", b"{}"),
    *(b'"index":', b'"embedding":', b'"data":', b'"error":', b'"usage":', b'"cost":', b'"code":', b'"availability":'),
    *(b"\xff\xfe", b"\x00", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"detail":', b'"message":'),
    *(b"[" * 500, b"]" * 500, b'{"a":' * 500, b'"' + b"A" * 4096 + b'"', b"\n", b" " * 100, b"18446744073709551616"),
    "\u202e\U0001f600e\u0301".encode(),
]
WAITS: list[str] = [
    *("1", "0.5", "-1", "nan", "inf", "1e400", "", " ", "9" * 400, "Wed, 21 Oct 2065 07:28:00 GMT", "Wed, 99 Foo"),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "1,5", "\u0661", "1_0", "Mon, 01 Jan 0001 00:00:00 +2359", "1700000000000"),
]
NAMES = ["retry-after", "retry-after-ms", "x-ratelimit-reset", "content-type", "x-generation-id"]
STATUSES = [200] * 10 + [204, 301, 307, 400, 401, 402, 403, 404, 407, 408, 413, 422, 424, 429, 500, 501, 503, 529, 599]


def _flip(body: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 4)):
        if body:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return body


def _cut(body: bytearray, chance: random.Random) -> bytearray:
    start, end = sorted(chance.randint(0, len(body)) for _ in range(2))
    return body[:start] + body[end:] if chance.random() < 0.7 else body[start:end]


def _splice(body: bytearray, chance: random.Random) -> bytearray:
    place, other = chance.randint(0, len(body)), chance.choice(CORPUS)
    return body[:place] + other[chance.randint(0, len(other)) :]


def _insert(body: bytearray, chance: random.Random) -> bytearray:
    place = chance.randint(0, len(body))
    return body[:place] + chance.choice(WORDS) + body[place + chance.choice([0, 0, 1, 4]) :]


def _value(chance: random.Random, depth: int = 0) -> Any:
    """Return random JSON that likes our names."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind >= 6:
        names = ["data", "embedding", "index", "error", "code", "usage", "cost", "availability", "metadata", "message"]
        if kind == 6:
            return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
        return {chance.choice(names): _value(chance, depth + 1) for _ in range(chance.randrange(5))}
    numbers = [0, 1, -1, 2**64, 1.5, 1e38, 1e39, float("nan"), 503, 1e308]
    return chance.choice([None, True, chance.choice(numbers), "", _encoded(1, 2), "\ud800\u0000x", "429"])


def _replace(body: bytearray, chance: random.Random) -> bytearray:
    """Put random JSON somewhere into a right answer."""
    answer = json.loads(CORPUS[chance.randrange(3)])
    part: Any = answer
    while keys := list(part) if isinstance(part, dict) else list(range(len(part))):
        key = chance.choice(keys)
        if chance.random() < 0.4 or not isinstance(part[key], (dict, list)) or not part[key]:
            part[key] = _value(chance)
            break
        part = part[key]
    return bytearray(json.dumps(answer).encode())


_MUTATIONS: list[Callable[[bytearray, random.Random], bytearray]] = [_flip, _cut, _splice, _insert, _replace]


def random_answer(chance: random.Random) -> Response:
    """Return one more answer."""
    body = bytearray(chance.choice(CORPUS) if chance.random() < 0.9 else json.dumps(_value(chance)).encode())
    for _ in range(chance.randrange(4)):
        body = chance.choice(_MUTATIONS)(body, chance)
    headers = {chance.choice(NAMES): chance.choice(WAITS) for _ in range(chance.randrange(3))}
    return Response(chance.choice(STATUSES), headers, bytes(body), chance.choice([0.0, 1.7e9]))
