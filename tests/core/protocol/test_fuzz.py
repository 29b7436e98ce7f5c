"""Whatever bytes come back: our own words for what is wrong, or the right number of right-looking rows.

Runs for OPENROUTER_EMBEDDINGS_FUZZ_SECONDS: a minute in CI, a few seconds elsewhere. The inputs of a run follow from
its seed, which a failure names together with the input.
"""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._flows.batches import Batch
from openrouter_embeddings._flows.delivery import _read
from openrouter_embeddings._flows.learned import LearnedLimits
from openrouter_embeddings._flows.prepare import prepare
from openrouter_embeddings._limits.signals import Load
from openrouter_embeddings._protocol.answers import BatchResult
from openrouter_embeddings._protocol.diagnosis import Diagnosis, Remedy
from openrouter_embeddings._protocol.exchange import Response, TransportFailure, TransportFault
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import profile_for

MODEL = "openai/text-embedding-3-small"
SECONDS = float(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_SECONDS") or (60 if os.environ.get("CI") else 5))
COUNT = 3


def encoded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def whole(rows: list[Any], **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    return json.dumps({"object": "list", "data": data, "model": MODEL, **more}).encode()


USAGE = {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.001}
CORPUS: list[bytes] = [
    whole([encoded(1, 2), encoded(3, 4), encoded(5, 6)], usage=USAGE, id="gen-1", provider="OpenAI"),
    whole([[1.0, 2.0], [3.0, 4.0], [5.0, -6e-3]], usage=USAGE),
    whole([[1.0, 2.0], encoded(3, 4), [5, 6]]),
    whole(
        [[1.0, 2.0], encoded(3, 4), [5, 6]], usage={"prompt_tokens": 10**400, "total_tokens": 10**400, "cost": 10**400}
    ),
    b"\xef\xbb\xbf" + whole([encoded(1), encoded(2), encoded(3)]),
    b'{"error":{"code":429,"message":"slow down","metadata":{"provider_name":"x"}}}',
    b'{"error":{"message":"no","availability":{"code":"model_deprecated","retryable":false,"retry_after":3}}}',
    b'{"error":"text"}',
    b'{"data":[],"error":{"http_status":"503","type":7}}',
    b'{"error":[1],"data":null}',
    b"<html><body>502 Bad Gateway</body></html>",
    b"",
    b"null",
    b'{"data":[{"index":0,"embedding":[1e400,-0.0]},{"index":1e0,"embedding":"AAAA"},{"embedding":[[]]}]}',
    b'{"usage":{"cost":1e999,"prompt_tokens":-1,"total_tokens":1e308},"data":[{"embedding":[1]}]}',
]
WORDS: list[bytes] = [
    *(b"NaN", b"Infinity", b"-1e999", b"1e-999", b"9" * 400, b"-0", b"1E5", b"0x1", b"null", b"true", b"[]", b"{}"),
    *(b'"index":', b'"embedding":', b'"data":', b'"error":', b'"usage":', b'"cost":', b'"code":', b'"availability":'),
    *(
        b"\xff\xfe",
        b"\x00",
        b"\\ud800",
        b"\\u0000",
        "\u202e\U0001f600e\u0301".encode(),
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
    ),
    *(b"[" * 500, b"]" * 500, b'{"a":' * 500, b'"' + b"A" * 4096 + b'"', b"\n", b" " * 100, b"18446744073709551616"),
]
WAITS: list[str] = [
    *("1", "0.5", "-1", "nan", "inf", "1e400", "", " ", "9" * 400, "Wed, 21 Oct 2065 07:28:00 GMT", "Wed, 99 Foo"),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "1,5", "\u0661", "1_0", "Mon, 01 Jan 0001 00:00:00 +2359", "1700000000000"),
]
NAMES = ["retry-after", "retry-after-ms", "x-ratelimit-reset", "content-type", "x-generation-id"]
STATUSES = [200] * 10 + [204, 301, 307, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 524, 529, 599]


def flip(body: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 4)):
        if body:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return body


def cut(body: bytearray, chance: random.Random) -> bytearray:
    start, end = sorted(chance.randint(0, len(body)) for _ in range(2))
    return body[:start] + body[end:] if chance.random() < 0.7 else body[start:end]


def splice(body: bytearray, chance: random.Random) -> bytearray:
    at, other = chance.randint(0, len(body)), chance.choice(CORPUS)
    return body[:at] + other[chance.randint(0, len(other)) :]


def insert(body: bytearray, chance: random.Random) -> bytearray:
    at = chance.randint(0, len(body))
    return body[:at] + chance.choice(WORDS) + body[at + chance.choice([0, 0, 1, 4]) :]


def value(chance: random.Random, depth: int = 0) -> Any:
    """Return random JSON that likes our names."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind >= 6:
        names = ["data", "embedding", "index", "error", "code", "usage", "cost", "availability", "metadata", "message"]
        if kind == 6:
            return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        return {chance.choice(names): value(chance, depth + 1) for _ in range(chance.randrange(5))}
    numbers = [0, 1, -1, 2**64, 1.5, 1e38, 1e39, float("nan"), 503, 1e308]
    return chance.choice([None, True, chance.choice(numbers), "", encoded(1, 2), "\ud800\u0000x", "429"])


def replace(body: bytearray, chance: random.Random) -> bytearray:
    """Put random JSON somewhere into a right answer."""
    answer = json.loads(CORPUS[chance.randrange(3)])
    at: Any = answer
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = chance.choice(keys) if keys else None
        if key is None:
            break
        if chance.random() < 0.4 or not isinstance(at[key], (dict, list)) or not at[key]:
            at[key] = value(chance)
            break
        at = at[key]
    return bytearray(json.dumps(answer).encode())


MUTATIONS: list[Callable[[bytearray, random.Random], bytearray]] = [flip, cut, splice, insert, replace]


def random_answer(chance: random.Random) -> Response:
    body = bytearray(chance.choice(CORPUS) if chance.random() < 0.9 else json.dumps(value(chance)).encode())
    for _ in range(chance.randrange(4)):
        body = chance.choice(MUTATIONS)(body, chance)
    headers = {chance.choice(NAMES): chance.choice(WAITS) for _ in range(chance.randrange(3))}
    return Response(chance.choice(STATUSES), headers, bytes(body), chance.choice([0.0, 1.7e9]))


@pytest.fixture(scope="module")
def job():
    options = Options(model=MODEL, api_key="secret-key")
    return prepare(options, LearnedLimits.initial(options, profile_for(MODEL)), ["one", "two", "three"], "document")


def look_at(job, answer: Response | TransportFailure, *, base64: bool) -> str:
    """Read an answer as the library does, and check whatever comes out. Return what sort of thing that was."""
    verdict = _read(job, Batch([0, 1, 2], 3), answer, base64=base64)
    if isinstance(verdict, BatchResult):
        assert answer.status == 200
        assert verdict.rows.dtype == np.float32
        assert verdict.rows.ndim == 2
        assert len(verdict.rows) == COUNT
        assert verdict.rows.shape[1] > 0
        assert np.isfinite(verdict.rows).all()
        assert verdict.rows.any(axis=1).all()
        assert min(verdict.usage.cost, verdict.usage.prompt_tokens, verdict.usage.total_tokens) >= 0
        return "landed"
    assert isinstance(verdict, Diagnosis)
    assert issubclass(verdict.kind, errors.EmbeddingError)
    assert isinstance(verdict.remedy, Remedy)
    assert isinstance(verdict.pressure, Load)
    assert verdict.retry_after is None or 0.0 <= verdict.retry_after < float("inf")
    error = job.error(verdict, [0], attempts=1)
    assert str(error)
    assert error.partial is None
    str(error).encode()  # no lone surrogate in a message: it has to be printed
    return verdict.kind.__name__


def test_only_our_own_troubles_come_out(job):
    seed = int(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_SEED") or 20261120)
    chance = random.Random(seed)
    ends, seen = time.monotonic() + SECONDS, Counter[str]()
    while time.monotonic() < ends:
        for _ in range(100):
            answer = random_answer(chance)
            try:
                seen[look_at(job, answer, base64=chance.random() < 0.5)] += 1
            except BaseException as failed:
                failed.add_note(f"seed {seed}, input {seen.total()}: {answer!r} {bytes(answer.body)!r}")
                raise
    print(f"\n{seen.total():,} inputs in {SECONDS:g} s: {dict(seen.most_common())}")
    assert seen["landed"] > 0, "the mutations spare nothing"
    assert len(seen) > 5, "the mutations reach too little"


@pytest.mark.parametrize("at", range(len(CORPUS)))
@pytest.mark.parametrize("status", sorted(set(STATUSES)))
def test_the_corpus_and_each_way_to_cut_it(job, at, status):
    for end in range(len(CORPUS[at]) + 1):
        look_at(job, Response(status, {}, CORPUS[at][:end]), base64=True)


@pytest.mark.parametrize("broke", TransportFault)
def test_no_answer_at_all(job, broke):
    look_at(job, TransportFailure(broke, "SomeError"), base64=False)
