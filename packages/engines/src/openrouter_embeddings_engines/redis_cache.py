"""The cache in Redis or Valkey: shared by machines, and never wrong.

As with a SQLite file, trouble must not lose embeddings that are paid for, so reading answers "not there" and writing
warns; and every row carries a checksum over key and value.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis import Redis

from openrouter_embeddings import CacheWarning, ConfigurationError

from .redis_connection import ProcessLocal, RedisConnection, RedisLostError

_ROWS_AT_ONCE = 256
_ANSWER_SECONDS = 10.0
_CHECKSUM = 4

# KEYS: claims, then the rows they are for. ARGV: owner, milliseconds. A row that was stored since it was looked up is not
# given: it is there to be read.
_CLAIM = """
local granted = {}
for index = 1, #KEYS / 2 do
    local claim, row = KEYS[index], KEYS[#KEYS / 2 + index]
    if redis.call('GET', claim) == ARGV[1] then
        redis.call('PEXPIRE', claim, ARGV[2])
        granted[#granted + 1] = index
    elseif redis.call('EXISTS', row) == 0 and redis.call('SET', claim, ARGV[1], 'NX', 'PX', ARGV[2]) then
        granted[#granted + 1] = index
    end
end
return granted
"""
# KEYS: claims. ARGV: owner.
_UNCLAIM = """
for _, claim in ipairs(KEYS) do
    if redis.call('GET', claim) == ARGV[1] then redis.call('DEL', claim) end
end
"""


class RedisCache(ProcessLocal):
    """Keeps embeddings in one Redis or Valkey server that any number of machines may share.

    A row is kept for `expire_seconds`, or for as long as the server keeps it: one that evicts makes rows be paid for
    again, and one without persistence loses them all when it restarts. After trouble the server is left alone for 1 to 8
    seconds; work goes on uncached.

    Args:
        url: `redis://`, `rediss://` or `unix://`. Its password is in pickles, as workers need it, and nowhere else.
        expire_seconds: How long a row is kept; None: for ever.
        prefix: Begins the name of every key.
        secret: Makes keys unguessable without it, as in `SqliteCache`.

    Raises:
        ConfigurationError: An option is wrong.
    """

    _configuration = ("_connection", "_expire_seconds", "_prefix", "_secret")

    def __init__(
        self,
        url: str,
        *,
        expire_seconds: float | None = None,
        prefix: str = "openrouter-embeddings:",
        secret: bytes | str | None = None,
    ) -> None:
        if expire_seconds is not None and not expire_seconds >= 1:
            raise ConfigurationError(f"expire_seconds must be at least 1, not {expire_seconds!r}.")
        if secret is not None and not secret:
            raise ConfigurationError("The cache's secret is empty.")
        self._expire_seconds = expire_seconds
        self._prefix = prefix
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._connection = RedisConnection(
            url, seconds=_ANSWER_SECONDS, category=CacheWarning, on_loss="Embedding goes on uncached until it is."
        )
        self._start()

    def _fresh(self) -> None:
        self._owner = secrets.token_bytes(16)

    @property
    def secret(self) -> bytes | None:
        """What keys are made with."""
        return self._secret

    @property
    def failures(self) -> int:
        """How many reads and writes failed, or were left out after a failure."""
        return self._connection.failures

    # -------------------------------------------------------------------------------------------------- rows

    def get(self, keys: Sequence[bytes], /) -> dict[bytes, bytes]:
        """Return the stored values; a key that is not stored, or whose row is damaged, is absent."""
        found: dict[bytes, bytes] = {}

        def read(redis: Redis, some: list[bytes]) -> None:
            damaged = []
            rows: Sequence[Any] = redis.mget(self._rows(some))
            for key, row in zip(some, rows, strict=True):
                if row is None:
                    continue
                if _is_sound(key, row):
                    found[key] = row[_CHECKSUM:]
                else:
                    damaged.append(key)
            if damaged:  # nobody could claim what seems to be there
                redis.delete(*self._rows(damaged))

        self._in_parts(keys, read)
        return found

    def put(self, items: Mapping[bytes, bytes], /) -> None:
        """Store all items, and give up the claims on them in the same round trip. Trouble warns once."""
        sound = {key: value for key, value in items.items() if value and len(value) % 4 == 0}
        expires = None if self._expire_seconds is None else round(self._expire_seconds * 1000)

        def write(redis: Redis, some: list[bytes]) -> None:
            with redis.pipeline(transaction=False) as pipeline:
                for key in some:
                    row = _checksum(key, sound[key]) + sound[key]
                    pipeline.set(self._row(key), row, px=expires)
                pipeline.eval(_UNCLAIM, len(some), *self._claims(some), self._owner)
                pipeline.execute()

        self._in_parts(sound, write)

    # ------------------------------------------------------------------------------------------------ claims

    def claim(self, keys: Sequence[bytes], seconds: float, /) -> list[bytes]:
        """Return the keys that are now this object's to embed, for so many seconds.

        A key is left out while another process has it, and once its row is stored. After trouble all are given:
        a text that is paid for twice is better than one that is not embedded.
        """
        granted: list[bytes] = []

        def take(redis: Redis, some: list[bytes]) -> None:
            names = [*self._claims(some), *self._rows(some)]
            given: Sequence[Any] = redis.eval(_CLAIM, len(names), *names, self._owner, round(seconds * 1000))
            granted.extend(some[index - 1] for index in given)

        return granted + self._in_parts(keys, take)

    def unclaim(self, keys: Sequence[bytes], /) -> None:
        """Give up the claims on these keys that are this object's."""
        self._in_parts(keys, lambda redis, some: redis.eval(_UNCLAIM, len(some), *self._claims(some), self._owner))

    # --------------------------------------------------------------------------------------------- an object

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"RedisCache({self._connection.label!r})"

    def _in_parts(self, keys: Iterable[bytes], work: Callable[[Redis, list[bytes]], object]) -> list[bytes]:
        """Do the work for all keys, so many at once, and return those for which it failed."""
        failed: list[bytes] = []
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), _ROWS_AT_ONCE):
            some = distinct[start : start + _ROWS_AT_ONCE]
            try:
                self._connection.run(work, some)
            except RedisLostError:
                failed += some
        return failed

    def _row(self, key: bytes) -> bytes:
        return self._prefix.encode() + b"row:" + key

    def _rows(self, keys: Iterable[bytes]) -> list[bytes]:
        return [self._row(key) for key in keys]

    def _claims(self, keys: Iterable[bytes]) -> list[bytes]:
        return [self._prefix.encode() + b"claim:" + key for key in keys]


def _checksum(key: bytes, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(_CHECKSUM, "big")


def _is_sound(key: bytes, row: bytes) -> bool:
    value = row[_CHECKSUM:]
    return len(value) > 0 and len(value) % 4 == 0 and row[:_CHECKSUM] == _checksum(key, value)
