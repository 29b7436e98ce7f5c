"""Claims of one client's calls: to the cache they have one owner, and yet none gives up what is another's."""

from __future__ import annotations

from openrouter_embeddings._runtime.claims import Claims
from openrouter_embeddings.cache import GuardedCache

from .doubles import Claiming, runtime, scope_of


def test_a_call_that_ends_gives_up_what_it_holds_and_not_what_another_has_claimed_since():
    claims = Claims(GuardedCache(cache := Claiming()))
    on = runtime()
    first, second = scope_of(on), scope_of(on)
    claims.claim([b"a", b"b"], 1.0, first)
    claims.claim([b"b"], 1.0, second)
    claims.release(first)
    assert cache.given_up == [b"a"]
    claims.release(first)
    claims.release(second)
    assert cache.given_up == [b"a", b"b"]


def test_what_is_being_stored_is_left_to_the_cache():
    claims = Claims(GuardedCache(cache := Claiming()))
    claims.claim([b"a", b"b"], 1.0, scope := scope_of(runtime()))
    assert claims.forget([b"a"], scope) == [b"a"]
    claims.release(scope)
    assert cache.given_up == [b"b"]


def test_what_was_not_to_be_had_is_not_given_up():
    claims = Claims(GuardedCache(cache := Claiming()))
    cache.claim = lambda keys, seconds: keys[:1]
    claims.claim([b"a", b"b"], 1.0, scope := scope_of(runtime()))
    assert scope.claimed == {b"a"}
    claims.release(scope)
    assert cache.given_up == [b"a"]


def test_what_a_call_claims_after_its_end_is_given_up_and_what_it_has_in_flight_is_not():
    """One of its workers has failed, another's request may land yet: until then no other process pays for it."""
    claims = Claims(GuardedCache(cache := Claiming()))
    claims.claim([b"in flight"], 1.0, scope := scope_of(runtime()))
    scope.cancel()
    claims.claim([b"late"], 1.0, scope)
    assert cache.given_up == [b"late"]
    claims.release(scope)
    assert cache.given_up == [b"late", b"in flight"]
