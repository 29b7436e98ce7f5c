"""A job: small, checked when it is made, without a key."""

from __future__ import annotations

import itertools
import pickle
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from openrouter_embeddings import ConfigurationError
from openrouter_embeddings_engines import EmbedJob, Limit

KEY = "sk-or-v1-a-key-that-nobody-may-see"


def key_of_a_module() -> str:
    return KEY


def full_job() -> EmbedJob:
    return EmbedJob(
        "qwen/qwen3-embedding-8b",
        limit=Limit(concurrency=64, per_second=50, tokens_per_minute=1e6),
        cache="$CACHE",
        max_cost=500,
        api_key_env="MY_KEY",
        provider={"order": ["deepinfra"], "data_collection": "deny"},
        extra_headers={"x-team": "search"},
        dimensions=1024,
    )


def test_a_job_pickles_to_four_kilobytes_at_most_and_comes_out_equal() -> None:
    job = full_job()
    pickled = pickle.dumps(job)
    again = pickle.loads(pickled)
    assert len(pickled) <= 4096
    assert again == job
    assert hash(again) == hash(job)
    assert pickle.dumps(again) == pickled
    assert (again.digest, again.dimensions, again.error_column) == (job.digest, 1024, "embedding_error")


def test_a_job_is_frozen() -> None:
    with pytest.raises(AttributeError):
        full_job().model = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        full_job().options["dimensions"] = 2  # type: ignore[index]


def test_the_key_stays_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    job = full_job()
    assert KEY.encode() not in pickle.dumps(job)
    assert KEY not in repr(job) + repr(vars(job))
    assert job.options["api_key"]() == KEY
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigurationError, match="the variable MY_KEY is not set on this worker"):
        job.options["api_key"]()


def test_a_function_of_a_module_may_fetch_the_key() -> None:
    job = EmbedJob("m", api_key=key_of_a_module)
    assert KEY.encode() not in pickle.dumps(job)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY},
        {"api_key": SecretStr(KEY)},
        {"extra_headers": {"Authorization": f"Bearer {KEY}"}},
        {"extra_headers": {"x-portkey": SecretStr(KEY)}},
        {"cache": f"redis://user:{KEY}@host:6379/0"},
        {"limit": Limit(at=f"redis://user:{KEY}@host:6379/0")},
    ],
)
def test_a_literal_key_is_refused_unless_it_is_allowed_and_is_never_shown(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="in every pickle") as refused:
        EmbedJob("m", **options)
    assert KEY not in str(refused.value)
    job = EmbedJob("m", allow_literal_key=True, **options)
    assert KEY not in repr(job)
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"column": ""}, "column takes a name"),
        ({"out": "text"}, "Choose another out"),
        ({"on_error": "skip"}, "on_error takes 'raise' or 'null'"),
        ({"limit": 64}, "limit takes a Limit, not int"),
        ({"api_key_env": 3}, "api_key_env takes a name"),
        ({"api_key_env": "A", "api_key": key_of_a_module}, "Keep api_key_env"),
        ({"max_concurrency": 4}, r"Limit\(concurrency"),
        ({"before_request": print}, r"Limit\(per_second"),
        ({"http_client": object()}, "do not travel"),
        ({"dimensions": 0}, "dimensions"),
        ({"max_cost": -1}, "max_cost"),
        ({"chunk_size": 4}, "batch_size"),
        ({"api_key": lambda: KEY}, "api_key does not travel"),
        ({"trace": {"note": "x" * 5000}}, "4,096 are the most"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_job_is_made(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        EmbedJob("m", **options)


def test_the_width_is_as_asked_for_or_by_the_profile_or_unknown() -> None:
    assert EmbedJob("qwen/qwen3-embedding-8b").dimensions == 4096
    assert EmbedJob("our-alias", profile="qwen/qwen3-embedding-8b").dimensions == 4096
    assert EmbedJob("acme/unknown").dimensions is None


def test_a_share_is_a_part_of_everything_and_one_request_at_least() -> None:
    limit = Limit(concurrency=16, per_second=50, tokens_per_minute=600)
    assert limit.share(8) == Limit(concurrency=2, per_second=6.25, tokens_per_minute=75)
    assert limit.share(32).concurrency == 1
    assert Limit().share(3) == Limit(concurrency=5)


@pytest.mark.parametrize(
    "given",
    [{"concurrency": 0}, {"concurrency": 1.5}, {"concurrency": None}, {"per_second": 0}, {"per_second": True}, {"tokens_per_minute": float("inf")}],
)  # fmt: skip
def test_a_limit_is_above_zero(given: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        Limit(**given)


def test_there_is_a_part_for_one_worker_at_least() -> None:
    with pytest.raises(ConfigurationError, match="workers takes"):
        Limit().share(0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def leaves_at(clock: Clock, limit: Limit, count: int, tokens: int) -> list[float]:
    """Return when so many requests leave that ask again as soon as they are told to."""
    limiter = limit.limiter(clock)
    assert limiter is not None
    begun, times = clock.now, []
    while len(times) < count:
        answer = limiter.acquire(1, tokens)
        if isinstance(answer, float):
            clock.now += answer
        else:
            times.append(clock.now - begun)
    return times


def test_requests_leave_evenly_at_the_rate() -> None:
    times = leaves_at(Clock(), Limit(per_second=10), 21, 5)
    assert times[-1] == pytest.approx(2.0, abs=0.06)
    assert all(later - earlier <= 0.1 + 1e-6 for earlier, later in itertools.pairwise(times))


def test_tokens_leave_at_their_rate_too() -> None:
    times = leaves_at(Clock(), Limit(per_second=1000, tokens_per_minute=6000), 11, 100)
    assert times[-1] == pytest.approx(10.0, abs=0.06)


def test_without_a_rate_there_is_no_limiter() -> None:
    assert Limit(concurrency=4).limiter() is None


def test_a_refusal_holds_everybody_back() -> None:
    clock = Clock()
    limiter = Limit(per_second=100).limiter(clock)
    assert limiter is not None
    lease = limiter.acquire(1, 1)
    assert not isinstance(lease, float)
    lease.release(SimpleNamespace(kind="landed", retry_after=None))
    lease.release(SimpleNamespace(kind="refused", retry_after=3.0))
    assert limiter.acquire(1, 1) == pytest.approx(3.0)
    clock.now += 3.0
    assert not isinstance(limiter.acquire(1, 1), float)


def test_where_a_limit_is_kept_is_an_address_or_a_variable_and_never_shown() -> None:
    assert KEY not in repr(Limit(at=f"redis://:{KEY}@host:6379/0"))
    for at in ("host:6379", "http://host", 6379):
        with pytest.raises(ConfigurationError, match=r"at takes a redis:// address, or '\$NAME'"):
            Limit(at=at)  # type: ignore[arg-type]
