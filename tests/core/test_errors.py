"""Errors carry what is known, survive pickling, and hold neither key nor text."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from openrouter_embeddings import errors
from openrouter_embeddings.errors import EmbeddingError, Partial
from openrouter_embeddings.usage import Usage

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EmbeddingError)]
EVERYTHING = {
    "status": 429, "code": "c", "error_type": "t", "provider": "p", "generation_id": "g", "retry_after": 1.5,
    "retryable": False, "model": "m", "positions": (3, 4),
}  # fmt: skip


def partial(**more) -> Partial:
    return Partial(
        embeddings=np.ones((2, 3), np.float32),
        positions_done=(0,),
        positions_failed={1: EmbeddingError("why")},
        usage=Usage(requests=1),
        model="m",
        **more,
    )


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_carries_what_is_known_and_survives_copies(kind):
    error = kind("what", partial=partial(), **EVERYTHING)
    for same in (error, pickle.loads(pickle.dumps(error)), copy.deepcopy(error), copy.copy(error)):
        assert type(same) is kind
        assert str(same) == same.message == "what"
        assert {name: getattr(same, name) for name in EVERYTHING} == EVERYTHING
        assert same.partial.usage == Usage(requests=1)


def test_nothing_need_be_known():
    error = EmbeddingError("what")
    assert {name: getattr(error, name) for name in EVERYTHING} == dict.fromkeys(EVERYTHING) | {
        "retryable": False,
        "positions": (),
    }
    assert EmbeddingError("what", positions=iter([1, 2])).positions == (1, 2)


def test_what_may_pass_is_retryable_by_nature_unless_the_gateway_says_otherwise():
    retryable = {kind.__name__ for kind in ALL if kind("x").retryable}
    assert retryable == {
        "RateLimitError", "ProviderUnavailableError", "ServerError", "ConnectionFailedError", "TimedOutError",
        "ResponseError",
    }  # fmt: skip
    assert not errors.RateLimitError("x", retryable=False).retryable
    assert errors.APIError("x", retryable=True).retryable


def test_what_is_wrong_before_any_request_is_a_value_error_too():
    assert [kind.__name__ for kind in ALL if issubclass(kind, ValueError)] == ["ConfigurationError", "InputError"]
    assert issubclass(errors.InputTooLongError, errors.InvalidRequestError)


def test_an_error_is_reworded_without_losing_what_it_knows():
    error = errors.RateLimitError("first", partial=partial(), **EVERYTHING)
    error.note_of_ours = 7
    same = error.reworded("second")
    assert (type(same), str(same), str(error)) == (errors.RateLimitError, "second", "first")
    assert {name: getattr(same, name) for name in EVERYTHING} == EVERYTHING
    assert (same.partial, same.note_of_ours) == (error.partial, 7)
    landed = partial()
    other = error.reworded("third", positions=[9], partial=landed)
    assert (other.positions, other.partial) == ((9,), landed)
    assert (error.positions, error.reworded("fourth", positions=()).positions) == ((3, 4), ())
    assert pickle.loads(pickle.dumps(other)).positions == (9,)


def test_a_pickle_holds_no_foreign_attribute():
    error = EmbeddingError("what")
    error.hung_on = "a secret text"
    error.__cause__ = ValueError("a secret text")
    assert b"a secret text" not in pickle.dumps(error)


def test_a_partial_of_an_earlier_release_needs_no_fingerprint():
    landed = partial()
    assert (landed.fingerprint, landed.shortened) == (b"", ())
    same = pickle.loads(pickle.dumps(partial(fingerprint=b"f", shortened=(0,))))
    assert (same.fingerprint, same.shortened, same.positions_failed[1].message) == (b"f", (0,), "why")


def test_a_partial_shows_counts_and_no_contents():
    assert repr(partial(fingerprint=b"f")) == f"Partial(done=1, failed=1, usage={Usage(requests=1)!r})"
