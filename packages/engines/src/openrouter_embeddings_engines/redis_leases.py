"""What the workers of a job have in common in Redis: leases, a pace, a budget. Each step is one atomic script.

Leases are a sorted set by the time of their end, so a killed worker's come back by themselves (the semaphore of "Redis in
Action", 6.3). The pace is pyrate-limiter's GCRA. All times are the server's: workers' clocks differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyrate_limiter import GCRA, Decision, Rate, RedisStateStore, StateStore
from redis import Redis

_DAY = 86_400_000
_TOLERANCE = 0.1
"""Seconds of the rate that may leave at once, to make good that workers ask late."""

# KEYS: leases, costs, workers, hold, money.
# ARGV: lease, worker, most leases or 0, milliseconds a lease lasts, tokens, max cost or "", USD spent as this worker
# knows it, then the leases it holds: they are renewed, and known again to a server that has lost its memory.
_ENTER = """
local leases, costs, workers, hold, money = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, lasts, tokens = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local max_cost, known = tonumber(ARGV[6]), tonumber(ARGV[7])

redis.call('ZADD', workers, now + lasts, ARGV[2])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
for index = 8, #ARGV do redis.call('ZADD', leases, now + lasts, ARGV[index]) end
for _, lease in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
    local cost = redis.call('HGET', costs, lease)
    if cost then redis.call('HINCRBYFLOAT', money, 'spent', cost) end  -- nobody knows; it may have been billed
    redis.call('ZREM', leases, lease)
    redis.call('HDEL', costs, lease)
end
if known > tonumber(redis.call('HGET', money, 'spent') or 0) then redis.call('HSET', money, 'spent', ARGV[7]) end
local spent = tonumber(redis.call('HGET', money, 'spent') or 0)
for _, key in ipairs({leases, costs, workers}) do redis.call('PEXPIRE', key, 2 * lasts) end
redis.call('PEXPIRE', money, DAYS)

local function answer(verdict, wait)
    return {verdict, wait, redis.call('ZCARD', workers), now, string.format('%.17g', spent)}
end

local held = redis.call('PTTL', hold)
if held > 0 then return answer('held', held) end
if most > 0 and redis.call('ZCARD', leases) >= most then return answer('full', 0) end
if max_cost then
    local price = tonumber(redis.call('HGET', money, 'price') or nil)
    local needed, reserved = (price or 0) * tokens, 0
    for _, cost in ipairs(redis.call('HVALS', costs)) do reserved = reserved + tonumber(cost) end
    if spent >= max_cost or spent + needed > max_cost then return answer('over', 0) end
    local is_first = not price and redis.call('HLEN', costs) > 0  -- what one request costs is not known yet
    if is_first or spent + reserved + needed > max_cost then return answer('full', 0) end
    redis.call('HSET', costs, ARGV[1], string.format('%.17g', needed))
end
redis.call('ZADD', leases, now + lasts, ARGV[1])
return answer('granted', 0)
""".replace("DAYS", str(30 * _DAY))
# KEYS: as above. ARGV: milliseconds to hold everybody back, USD spent as this worker knows it, USD to add, USD a token or
# "", then leases that are over.
_LEAVE = """
local leases, costs, _, hold, money = unpack(KEYS)
for index = 5, #ARGV do
    redis.call('ZREM', leases, ARGV[index])
    redis.call('HDEL', costs, ARGV[index])
end
local wait, known, price = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
if wait > 0 and wait > redis.call('PTTL', hold) then redis.call('SET', hold, '', 'PX', wait) end
if price and price >= tonumber(redis.call('HGET', money, 'price') or 0) then
    redis.call('HSET', money, 'price', ARGV[4])
end
if known > tonumber(redis.call('HGET', money, 'spent') or 0) then redis.call('HSET', money, 'spent', ARGV[2]) end
return redis.call('HINCRBYFLOAT', money, 'spent', ARGV[3])
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis says to a worker that wants a lease.

    Attributes:
        verdict: `"granted"`; `"full"`: as many are out as may be, or may be paid for; `"held"`: a refusal holds everybody
            back; `"over"`: the budget is spent.
        wait: Seconds, where held back.
        workers: How many workers asked lately.
        now: Milliseconds, by the server's clock.
        spent: USD, by all workers.
    """

    verdict: Literal["granted", "full", "held", "over"]
    wait: float
    workers: int
    now: int
    spent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLimits:
    """What all workers may do together.

    Attributes:
        name: Workers that use the same name share.
        concurrency: Most leases out at a time, or None.
        per_second: Most requests a second, or None.
        tokens_per_minute: Most estimated tokens a minute, or None.
        max_cost: USD that may be spent, or None.
        lease_seconds: After which a lease that is not renewed is over.
    """

    name: str
    concurrency: int | None
    per_second: float | None
    tokens_per_minute: float | None
    max_cost: float | None
    lease_seconds: float

    @property
    def has_a_pace(self) -> bool:
        """Whether requests or tokens in a time are limited."""
        return self.per_second is not None or self.tokens_per_minute is not None

    def _keys(self, *names: str) -> list[str]:
        # The braces keep all of them on one node of a cluster.
        return [f"openrouter-embeddings:limit:{{{self.name}}}:{name}" for name in names]

    def _lease_keys(self) -> list[str]:
        return self._keys("leases", "costs", "workers", "hold", "money")

    def enter(self, redis: Redis, lease: str, *, worker: str, tokens: int, held: Sequence[str], spent: float) -> Answer:
        """Take a lease if one is free, and renew those that the worker holds."""
        most, lasts = self.concurrency or 0, round(self.lease_seconds * 1000)
        max_cost = "" if self.max_cost is None else self.max_cost
        reply: Any = redis.register_script(_ENTER)(
            keys=self._lease_keys(), args=[lease, worker, most, lasts, tokens, max_cost, spent, *held]
        )
        return Answer(reply[0].decode(), reply[1] / 1000, reply[2], reply[3], float(reply[4]))

    def leave(
        self, redis: Redis, leases: Sequence[str], *, spent: float, cost: float, price: float | None, hold: float
    ) -> float:
        """Give leases back and add what was paid; return what all have spent."""
        reply: Any = redis.register_script(_LEAVE)(
            keys=self._lease_keys(), args=[round(hold * 1000), spent, cost, "" if price is None else price, *leases]
        )
        return float(reply)

    def pace(self, redis: Redis, requests: int, tokens: int, now: int) -> float:
        """Let requests leave at the pace of all; return 0, or the seconds to wait."""
        (key,) = self._keys("pace")
        return self.pace_by(RedisStateStore(redis, key), requests, tokens, now)

    def pace_by(self, store: StateStore, requests: int, tokens: int, now: int, *, workers: int = 1) -> float:
        """Let requests leave at the pace of one of so many workers; return 0, or the seconds to wait.

        GCRA has one weight for all its rates. A weight of w is the same as a rate w times slower.
        """
        rates = []
        if self.per_second is not None:
            burst = max(1, int(self.per_second / workers * _TOLERANCE / requests))
            rates.append(Rate(max(1, round(self.per_second / workers * 3600)), 3_600_000 * requests, burst))
        if self.tokens_per_minute is not None:
            weight = max(1, tokens)
            burst = max(1, int(self.tokens_per_minute / workers / 60 * _TOLERANCE / weight))
            rates.append(Rate(max(1, round(self.tokens_per_minute / workers)), 60_000 * weight, burst))
        decision = store.check(GCRA(), rates, now, 1)
        assert isinstance(decision, Decision)
        return (decision.retry_after_ms or 0) / 1000
