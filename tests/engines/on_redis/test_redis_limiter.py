"""One limit for all workers: what a limiter in Redis gives, refuses, and does without Redis."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from openrouter_embeddings import BudgetExceededError, ConfigurationError, LimiterWarning
from openrouter_embeddings_engines import redis_connection, redis_limiter
from openrouter_embeddings_engines.redis_limiter import RedisLease, RedisLimiter

from ...support.daemons import free_port

KEYS = "openrouter-embeddings:limit:{job}:"


def outcome(kind="landed", *, cost=None, retry_after=None):
    """What the core tells of a request."""
    return SimpleNamespace(kind=kind, cost=cost, retry_after=retry_after)


@pytest.fixture
def make(redis_server):
    """Make limiters of the same name at the same server."""
    made = []

    def limiter(**options):
        made.append(RedisLimiter(redis_server.url, **{"name": "job", **options}))
        return made[-1]

    yield limiter
    for one in made:
        one.close()


@pytest.fixture
def clock(monkeypatch):
    """The clock of this process, which stands still until `clock.pass_by(seconds)`; the server has its own."""
    stopped = SimpleNamespace(seconds=1000.0)
    for module in (redis_connection, redis_limiter):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: stopped.seconds))
    return SimpleNamespace(pass_by=lambda seconds: setattr(stopped, "seconds", stopped.seconds + seconds))


@pytest.fixture
def lost(recwarn):
    """A limiter whose server is not there."""
    return lambda **options: RedisLimiter(f"redis://:hunter2@127.0.0.1:{free_port()}/0", **{"name": "job", **options})


def take(limiter, count):
    """Take so many leases, which must be there."""
    leases = [limiter.acquire(1, 10) for _ in range(count)]
    assert all(isinstance(lease, RedisLease) for lease in leases)
    return leases


# ------------------------------------------------------------------------------------------------------- in flight


def test_workers_together_have_no_more_leases_than_the_cap(make, clock):
    first, second = make(concurrency=3), make(concurrency=3)
    leases = take(first, 2) + take(second, 1)
    assert 0.0 < first.acquire(1, 10) <= 0.25
    assert 0.0 < second.acquire(1, 10) <= 0.25
    clock.pass_by(1.0)
    leases[0].release(outcome())
    take(second, 1)
    clock.pass_by(1.0)
    assert isinstance(first.acquire(1, 10), float)


def test_limiters_of_another_name_have_their_own(make):
    take(make(concurrency=1), 1)
    take(make(concurrency=1, name="other"), 1)


def test_who_was_told_to_wait_asks_redis_no_sooner(make, clock, redis_server):
    limiter, other = make(concurrency=1), make(concurrency=1)
    (lease,) = take(other, 1)
    assert isinstance(limiter.acquire(1, 10), float)
    lease.release(outcome())
    assert isinstance(limiter.acquire(1, 10), float)
    clock.pass_by(1.0)
    take(limiter, 1)


def test_a_lease_is_given_back_once(make, clock):
    limiter = make(concurrency=2)
    first, _ = take(limiter, 2)
    first.release(outcome())
    first.release(outcome())
    take(limiter, 1)
    assert isinstance(limiter.acquire(1, 10), float)


def test_a_lease_that_ended_is_free_for_others(make, redis_server):
    take(make(concurrency=1), 1)
    (name,) = redis_server.client().zrange(f"{KEYS}leases", 0, -1)
    redis_server.client().zadd(f"{KEYS}leases", {name: 1})
    take(make(concurrency=1), 1)


def test_asking_renews_the_leases_that_a_worker_holds(make, redis_server):
    limiter = make(concurrency=5)
    take(limiter, 1)
    (name,) = redis_server.client().zrange(f"{KEYS}leases", 0, -1)
    redis_server.client().zadd(f"{KEYS}leases", {name: 1})
    take(limiter, 1)
    assert min(score for _, score in redis_server.client().zrange(f"{KEYS}leases", 0, -1, withscores=True)) > 1


def test_threads_together_keep_to_the_cap(make):
    limiter, most, out = make(concurrency=4), [], set()
    lock = threading.Lock()

    def work(_):
        while isinstance(lease := limiter.acquire(1, 10), float):
            time.sleep(lease)
        with lock:
            out.add(lease)
            most.append(len(out))
        with lock:
            out.remove(lease)
        lease.release(outcome())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert max(most) <= 4


# ------------------------------------------------------------------------------------------------------------ pace


def test_requests_leave_at_the_pace_of_all(make):
    take(make(per_second=0.01), 1)
    assert 95.0 < make(per_second=0.01).acquire(1, 10) <= 100.0
    take(make(name="large", per_second=0.01), 1)
    assert 95.0 < make(name="large", per_second=0.01).acquire(5, 10) <= 100.0


def test_a_request_of_many_counts_as_many(make):
    assert isinstance(make(per_second=0.1).acquire(3, 10), RedisLease)
    assert 25.0 < make(per_second=0.1).acquire(1, 10) <= 30.0


def test_tokens_leave_at_the_pace_of_all(make):
    assert isinstance(make(tokens_per_minute=60).acquire(1, 40), RedisLease)
    assert 35.0 < make(tokens_per_minute=60).acquire(1, 1) <= 40.0


def test_a_request_with_more_tokens_than_a_minute_has_leaves_all_the_same(make):
    assert isinstance(make(tokens_per_minute=60).acquire(1, 600), RedisLease)
    assert 590.0 < make(tokens_per_minute=60).acquire(1, 0) <= 600.0


def test_what_one_pace_refuses_costs_nothing_of_the_others(make, redis_server):
    limits = {"concurrency": 5, "per_second": 1000, "tokens_per_minute": 60}
    take(make(**limits), 1)
    before = redis_server.client().hget(f"{KEYS}pace", "tat1")
    assert isinstance(make(**limits).acquire(1, 10), float)
    assert redis_server.client().hget(f"{KEYS}pace", "tat1") == before
    assert redis_server.client().zcard(f"{KEYS}leases") == 1


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("asked", "held"), [(30.0, 30.0), (1e9, 60.0), (None, 0.5), (0.0, 0.5)])
def test_a_refusal_holds_everybody_back(make, asked, held):
    first, second = make(), make()
    (lease,) = take(first, 1)
    lease.release(outcome("refused", retry_after=asked))
    for limiter in (first, second, make()):
        assert held - 5.0 < limiter.acquire(1, 10) <= held


def test_a_second_refusal_does_not_shorten_the_first(make):
    first, second = take(make(), 2)
    first.release(outcome("refused", retry_after=30.0))
    second.release(outcome("refused", retry_after=1.0))
    assert make().acquire(1, 10) > 25.0


@pytest.mark.parametrize("kind", ["landed", "failed", "unused"])
def test_what_is_no_refusal_holds_nobody_back(make, kind):
    limiter = make(concurrency=1)
    (lease,) = take(limiter, 1)
    lease.release(outcome(kind))
    take(make(concurrency=1), 1)


# ---------------------------------------------------------------------------------------------------------- budget


def test_until_a_price_is_known_one_request_is_out(make, clock):
    first, second = make(max_cost=1.0), make(max_cost=1.0)
    (lease,) = take(first, 1)
    assert isinstance(second.acquire(1, 10), float)
    clock.pass_by(1.0)
    lease.release(outcome(cost=0.25))  # 0.025 a token
    take(second, 3)
    assert isinstance(first.acquire(1, 10), float)


def test_the_budget_of_all_ends_each(make):
    first, second = make(max_cost=1.0), make(max_cost=1.0)
    take(first, 1)[0].release(outcome(cost=0.6))
    expected = r"^Stopped before the next request: 0.6 USD spent by all workers, the request would pass max_cost=1.0\.$"
    for limiter in (first, second):
        with pytest.raises(BudgetExceededError, match=expected):
            limiter.acquire(1, 10)
    assert isinstance(second.acquire(1, 5), RedisLease)
    assert second.spent() == first.spent() == 0.6


def test_a_gateway_that_names_no_cost_is_not_asked_one_by_one(make):
    limiter = make(max_cost=1.0)
    take(limiter, 1)[0].release(outcome())
    take(limiter, 3)


def test_what_a_killed_worker_may_have_been_billed_counts(make, redis_server):
    first = make(max_cost=1.0)
    take(first, 1)[0].release(outcome(cost=0.25))
    take(first, 2)
    for name in redis_server.client().zrange(f"{KEYS}leases", 0, -1):
        redis_server.client().zadd(f"{KEYS}leases", {name: 1})
    second = make(max_cost=1.0)
    take(second, 1)
    assert second.spent() == 0.75


# --------------------------------------------------------------------------------------------------- without Redis


def test_without_redis_a_worker_keeps_to_its_share_and_says_so_once(lost, recwarn):
    limiter = lost(concurrency=16, workers=4)
    take(limiter, 4)
    assert isinstance(limiter.acquire(1, 10), float)
    (told,) = [warning for warning in recwarn if warning.category is LimiterWarning]
    assert str(told.message).endswith(" (ConnectionError). Each worker keeps to its share of the limit until it is.")
    assert "hunter2" not in str(told.message)


def test_the_share_is_one_at_least(lost, clock):
    limiter = lost(concurrency=2, workers=100)
    (lease,) = take(limiter, 1)
    assert isinstance(limiter.acquire(1, 10), float)
    clock.pass_by(1.0)
    lease.release(outcome())
    take(limiter, 1)


def test_without_redis_the_pace_is_a_share_too(lost):
    limiter = lost(per_second=0.1, workers=10)
    take(limiter, 1)
    assert 95.0 < limiter.acquire(1, 10) <= 100.0


def test_without_redis_the_budget_is_a_share_too(lost):
    limiter = lost(max_cost=1.0, workers=10)
    take(limiter, 1)[0].release(outcome(cost=0.1))
    expected = (
        r"^Stopped before the next request: Redis cannot be reached, and this worker's share of what was left of"
        r" max_cost=1.0 is spent\.$"
    )
    with pytest.raises(BudgetExceededError, match=expected):
        limiter.acquire(1, 10)
    assert limiter.spent() == 0.1


def test_without_redis_a_refusal_holds_this_worker_back(lost):
    limiter = lost()
    take(limiter, 1)[0].release(outcome("refused", retry_after=30.0))
    assert limiter.acquire(1, 10) > 25.0


def test_the_share_is_by_the_workers_that_were_seen_last(make, redis_server, clock, recwarn):
    limiters = [make(concurrency=8) for _ in range(4)]
    for limiter in limiters:
        take(limiter, 1)
    redis_server.stop()
    assert isinstance(limiters[-1].acquire(1, 10), float)
    clock.pass_by(0.9)  # what the others hold beyond their share has ended
    take(limiters[-1], 1)
    assert isinstance(limiters[-1].acquire(1, 10), float)


def test_a_server_that_lost_its_memory_learns_what_is_out_and_what_was_spent(make, redis_server, clock, recwarn):
    limiter = make(concurrency=4, max_cost=1.0, workers=1)
    take(limiter, 1)[0].release(outcome(cost=0.1))
    before, kept = take(limiter, 2)
    redis_server.stop()
    before.release(outcome(cost=0.1))
    clock.pass_by(0.9)
    (during,) = take(limiter, 1)
    redis_server.start()
    clock.pass_by(10.0)
    (after,) = take(limiter, 1)
    out = {name.decode() for name in redis_server.client().zrange(f"{KEYS}leases", 0, -1)}
    assert out == {kept.name, during.name, after.name}
    assert limiter.spent() == make(max_cost=1.0).spent() == 0.2


def test_after_trouble_a_worker_keeps_to_its_share_until_the_others_are_back(make, redis_server, clock, recwarn):
    limiters = [make(concurrency=4) for _ in range(2)]
    for limiter in limiters:
        take(limiter, 1)
    redis_server.stop()
    assert isinstance(limiters[-1].acquire(1, 10), float)
    redis_server.start()
    clock.pass_by(10.0)
    take(limiters[-1], 1)  # its share are 2
    assert isinstance(limiters[-1].acquire(1, 10), float)
    clock.pass_by(10.0)
    take(limiters[-1], 2)  # the other has not come back
    assert isinstance(limiters[-1].acquire(1, 10), float)


# ------------------------------------------------------------------------------------------------------- an object


def test_copies_are_other_workers_under_the_same_limit(make):
    limiter = make(concurrency=2)
    take(limiter, 1)
    for other in (pickle.loads(pickle.dumps(limiter)), copy.deepcopy(limiter)):
        take(other, 1)[0].release(outcome())
        other.close()


def test_a_forked_child_holds_no_lease_and_gives_none_back(make, redis_server):
    limiter = make(concurrency=2)
    (lease,) = take(limiter, 1)
    reading, writing = os.pipe()
    limiter._lock.acquire()  # a thread of the parent's is at work
    if not (child := os.fork()):
        lease.release(outcome())
        right = isinstance(limiter.acquire(1, 10), RedisLease) and isinstance(limiter.acquire(1, 10), float)
        os.write(writing, b"right" if right else b"wrong")
        os._exit(0)
    limiter._lock.release()
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"right"
    os.close(reading)
    os.close(writing)
    lease.release(outcome())
    assert redis_server.client().zcard(f"{KEYS}leases") == 1


def test_nothing_shows_the_password():
    limiter = RedisLimiter("redis://user:hunter2@127.0.0.1:6379/0", name="job")
    assert repr(limiter) == "RedisLimiter('redis://127.0.0.1:6379/0', name='job')"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "name must be a string that is not empty."),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1, not 0."),
        ({"concurrency": 1.5}, "concurrency must be a whole number of at least 1, not 1.5."),
        ({"workers": 0}, "workers must be a whole number of at least 1, not 0."),
        ({"per_second": 0}, "per_second must be a number above 0, not 0."),
        ({"tokens_per_minute": float("nan")}, "tokens_per_minute must be a number above 0, not nan."),
        ({"max_cost": -1}, "max_cost must be a number above 0, not -1."),
        ({"lease_seconds": float("inf")}, "lease_seconds must be a number above 0, not inf."),
    ],
)
def test_wrong_options_are_errors(options, message):
    with pytest.raises(ConfigurationError) as caught:
        RedisLimiter("redis://", **{"name": "job", **options})
    assert str(caught.value) == message
