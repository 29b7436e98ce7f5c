"""How often a batch is tried and how long it waits: a table of what was answered, and what is left after it."""

from __future__ import annotations

import pytest

from openrouter_embeddings._flows.attempts import UNREACHED_SECONDS, AttemptBudget
from openrouter_embeddings._flows.effects import Sent
from openrouter_embeddings._protocol import Diagnosis, Remedy
from openrouter_embeddings.errors import (
    ConnectionFailedError,
    ProviderUnavailableError,
    RateLimitError,
    ServerError,
    TimedOutError,
)

from .worlds import call_of


def diagnosis(remedy: Remedy, kind: type = ServerError, retry_after: float | None = None) -> Diagnosis:
    return Diagnosis(kind, "It failed", "", remedy, retry_after=retry_after)


BUSY = diagnosis(Remedy.WAIT, RateLimitError)
DOWN = diagnosis(Remedy.WAIT, ProviderUnavailableError)
REFUSED = diagnosis(Remedy.WAIT, ConnectionFailedError)
LATE = diagnosis(Remedy.REPLAY, TimedOutError)
FAILED = diagnosis(Remedy.RETRY)


def budget(wait: float = 300.0, retries: int = 5, replays: int = 1, **how) -> AttemptBudget:
    return AttemptBudget(wait, wait, retries, replays, **how)


def sent(waited: float = 0.0, **facts) -> Sent:
    return Sent(None, waited, **{"jitter": 0.5, **facts})


def pauses(left: AttemptBudget, found: Diagnosis, count: int, *, reached: bool = True, **facts) -> list[float | None]:
    return [left.after(found, sent(**facts), reached=reached) for _ in range(count)]


@pytest.mark.parametrize(
    ("options", "input_type", "expected"),
    [
        ({"retry_timeout": 100.0, "max_retries": 4, "max_replays": 2}, "document", (100.0, 4, 2, False)),
        ({"retry_timeout": 100.0, "max_retries": 4, "max_replays": 2}, "query", (30.0, 2, 2, True)),
        ({"retry_timeout": 9.0, "max_retries": 1, "max_replays": 0}, "query", (9.0, 1, 0, True)),
    ],
    ids=["bulk", "query", "query with less"],
)
def test_a_batch_begins_with_what_the_options_allow_and_a_query_with_less(options, input_type, expected):
    left = AttemptBudget.of(call_of(["1"], input_type, **options).settings)
    assert (left.wait_left, left.retries_left, left.replays_left, left.waits_are_retries) == expected
    assert left.wait_budget == left.wait_left


@pytest.mark.parametrize("found", [BUSY, DOWN, REFUSED], ids=["429", "503", "refused"])
def test_what_the_breaker_holds_back_is_tried_again_without_a_pause_of_its_own_and_uses_up_no_retry(found):
    left = budget(retries=0, replays=0)
    assert pauses(left, found, 50, waited=5.0) == [0.0] * 50
    assert left.wait_left == 50.0


def test_the_time_for_which_the_breaker_held_a_batch_back_is_taken_off_its_wait_budget():
    assert pauses(budget(wait=10.0), BUSY, 3, waited=4.0) == [0.0, 0.0, None]


def test_a_time_that_is_told_and_longer_than_what_is_left_is_not_waited_for():
    found = diagnosis(Remedy.WAIT, RateLimitError, retry_after=6.5)
    left = budget(wait=10.0)
    assert left.after(found, sent(waited=3.0), reached=True) == 0.0
    assert left.after(found, sent(waited=3.0), reached=True) is None


def test_a_request_that_waits_alone_pauses_for_the_time_told():
    found = diagnosis(Remedy.WAIT, RateLimitError, retry_after=3.0)
    left = budget()
    assert left.after(found, sent(waits_alone=True), reached=True) == 3.0
    assert left.wait_left == 297.0


@pytest.mark.parametrize("replays", [0, 1, 3])
def test_what_may_have_been_billed_is_sent_again_as_often_as_allowed(replays):
    given = pauses(budget(replays=replays), LATE, replays + 1)
    assert None not in given[:-1]
    assert given[-1] is None


@pytest.mark.parametrize("found", [LATE, FAILED])
def test_in_an_outage_nothing_that_failed_is_sent_again(found):
    assert budget().after(found, sent(may_replay=False), reached=True) is None


def test_waiting_goes_on_in_an_outage_where_the_gateway_asked_for_it():
    assert budget().after(DOWN, sent(may_replay=False), reached=True) == 0.0


def test_retries_pause_for_longer_each_time_and_end():
    assert pauses(budget(retries=4), FAILED, 5) == [0.25, 0.5, 1.0, 2.0, None]


def test_a_pause_longer_than_what_is_left_is_not_begun():
    assert budget(wait=0.1).after(FAILED, sent(), reached=True) is None


@pytest.mark.parametrize(
    ("found", "given"),
    [(DOWN, [0.0, 0.0, None]), (REFUSED, [0.0, 0.0, None]), (BUSY, [0.0, 0.0, 0.0])],
    ids=["503", "refused", "429"],
)
def test_where_somebody_waits_for_the_answer_each_wait_is_a_retry_but_that_of_a_rate_limit(found, given):
    assert pauses(budget(retries=2, waits_are_retries=True), found, 3) == given


def test_an_outage_is_waited_out_once_and_a_batch_that_comes_late_to_it_tries_once():
    assert budget(wait=30.0).after(DOWN, sent(refused_for=29.0), reached=True) == 0.0
    assert budget(wait=30.0).after(DOWN, sent(refused_for=31.0), reached=True) is None


def test_an_address_that_has_never_answered_is_waited_for_long_enough_for_a_restart_only():
    left = budget(wait=300.0)
    assert left.after(REFUSED, sent(), reached=False) == 0.0
    assert left.wait_left == UNREACHED_SECONDS
    assert left.after(REFUSED, sent(refused_for=UNREACHED_SECONDS + 1.0), reached=False) is None


def test_a_gateway_that_has_answered_before_is_waited_for_as_long_as_the_options_say():
    left = budget(wait=300.0)
    assert left.after(REFUSED, sent(refused_for=200.0), reached=True) == 0.0
    assert left.wait_left == 300.0


def test_an_address_that_refuses_with_a_status_was_reached_and_is_waited_for():
    left = budget(wait=300.0)
    assert left.after(DOWN, sent(refused_for=200.0), reached=False) == 0.0
