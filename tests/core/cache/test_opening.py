"""A cache as a client uses it: opened from what the user gave, and never at the cost of an embedding in hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from openrouter_embeddings import cache as wing
from openrouter_embeddings.cache import CacheWarning, GuardedCache, MemoryCache, open_cache
from openrouter_embeddings.errors import ConfigurationError

from .rows import rows


class Failing:
    """A cache of the user's that raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, keys):
        raise self.error

    def put(self, items):
        raise self.error


def test_a_path_becomes_a_sqlite_cache_that_is_not_opened_yet(tmp_path):
    path = tmp_path / "folder" / "cache.sqlite"
    assert open_cache(path).path == open_cache(str(path)).path == path
    assert not path.exists()


def test_a_cache_stays_what_it_is():
    memory, own = MemoryCache(), Failing(ValueError())
    assert open_cache(None) is None
    assert open_cache(memory) is memory
    assert open_cache(own) is own


@pytest.mark.parametrize("wrong", [3, {}, MemoryCache])
def test_what_is_no_cache_is_refused(wrong):
    with pytest.raises(
        ConfigurationError, match=f"cache must be a path or have get and put, not {type(wrong).__name__}"
    ):
        open_cache(wrong)


def test_without_a_cache_nothing_is_known_and_nothing_kept():
    guarded = GuardedCache(None)
    guarded.put(rows(1))
    assert guarded.get([b"key-0"]) == {}


def test_a_cache_that_works_is_used():
    guarded = GuardedCache(MemoryCache())
    guarded.put(rows(1))
    assert guarded.get([b"key-0"]) == rows(1)


def test_trouble_is_told_once_and_costs_nothing():
    guarded = GuardedCache(Failing(OSError("secret")))
    with pytest.warns(CacheWarning) as seen:  # noqa: PT031
        assert guarded.get([b"a"]) == {}
        guarded.put(rows(1))
        assert guarded.get([b"a"]) == {}
    assert [str(warning.message) for warning in seen] == ["The cache could not be read (OSError); going on without it."]
    with pytest.warns(CacheWarning, match="could not be written"):
        GuardedCache(Failing(OSError())).put(rows(1))


def test_what_is_no_cache_at_all_is_reported_before_anything_is_paid_for():
    guarded = GuardedCache(Failing(ConfigurationError("not an embedding cache")))
    with pytest.raises(ConfigurationError):
        guarded.get([b"a"])
    with pytest.warns(CacheWarning):
        guarded.put(rows(1))


def test_no_module_of_the_wing_can_load_code_from_a_file():
    for module in Path(wing.__file__).parent.glob("*.py"):
        tree = ast.parse(module.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not names & {"pickle", "shelve", "marshal"}


class Claiming(MemoryCache):
    """Claims what it is told to, or raises."""

    def __init__(self, free=(), failure=None):
        super().__init__()
        self.free, self.failure, self.given_up = set(free), failure, []

    def claim(self, keys, seconds):
        if self.failure is not None:
            raise self.failure
        return [key for key in keys if key in self.free]

    def unclaim(self, keys):
        if self.failure is not None:
            raise self.failure
        self.given_up += keys


def test_a_cache_without_claims_lets_everything_through():
    guarded = GuardedCache(MemoryCache())
    assert not guarded.takes_claims
    assert guarded.claim([b"a"], 1.0) == ({b"a"}, {})
    guarded.unclaim([b"a"])


def test_what_was_stored_before_it_was_claimed_is_known_and_its_claim_given_up():
    cache = Claiming(free=[b"a", b"b"])
    cache.put({b"b": bytes(4), b"c": bytes(4)})
    guarded = GuardedCache(cache)
    assert guarded.takes_claims
    assert guarded.claim([b"a", b"b", b"c", b"d"], 1.0) == ({b"a"}, {b"b": bytes(4), b"c": bytes(4)})
    assert cache.given_up == [b"b"]


def test_claims_that_fail_stop_nothing_and_are_reported_once():
    guarded = GuardedCache(Claiming(failure=OSError("secret")))
    with pytest.warns(CacheWarning, match=r"could not be claimed \(OSError\)") as said:
        assert guarded.claim([b"a"], 1.0) == ({b"a"}, {})
    guarded.unclaim([b"a"])
    assert len(said) == 1
