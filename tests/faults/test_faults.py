"""No fault is silent: the right embeddings come back or one of our errors, and the client works on."""

from __future__ import annotations

import pytest

from openrouter_embeddings import EmbeddingError, TimedOutError

from .body_faults import REDIRECT_STATUSES, body_faults, redirect
from .calls import COLOURS, KEY, NO_RETRIES, assert_ours, assert_right, embed_in_turn
from .server import Fault, FaultServer
from .wire_faults import CUT, LATE, NOT_HTTP

FAULTS = [*LATE, *CUT, *NOT_HTTP, *body_faults()]


def options(server: FaultServer, fault: Fault, **more):
    # Only what is late needs a short patience; elsewhere a slow machine must not turn one error into another.
    timeout = 1.0 if fault.error is TimedOutError else 30.0
    return {"api_key": KEY, "base_url": server.url, "timeout": timeout} | more


def by_name(faults):
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


both_colours = pytest.mark.parametrize("colour", COLOURS)


def test_the_table_holds_each_fault_once():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert len(names) >= 40


@both_colours
@by_name(FAULTS)
def test_a_fault_is_an_error_of_ours_or_nothing_at_all(server, fault, colour):
    server.keep_alive = not fault.at_accept  # such a fault strikes a new connection
    before, during, after = embed_in_turn(
        colour, [lambda: server.strike(fault), server.heal], **options(server, fault, **NO_RETRIES)
    )
    assert_right(before)
    if fault.error is None:
        assert_right(during)
    else:
        assert_ours(during, fault.error)
    if fault.closes_gate and isinstance(after, EmbeddingError):
        assert_ours(after, fault.error)  # there is no patience here; the test below sees the gate open again
    else:
        assert_right(after)


@both_colours
@by_name(FAULTS)
def test_a_fault_that_strikes_once_is_healed_by_one_retry_or_costs_no_second_request(
    server, fault, colour, monkeypatch
):
    monkeypatch.setattr("openrouter_embeddings._limits.breaker.BACK_OFF_FIRST", 0.01)
    server.keep_alive = not fault.at_accept
    more = options(server, fault) | {"before_request": lambda _: server.wait_for_struck()}
    before, outcome = embed_in_turn(colour, [lambda: server.strike(fault, times=1)], **more)
    assert_right(before)
    asked = 1 if fault.error is None or not fault.heals else 2
    if fault.error is not None and not fault.heals:
        assert_ours(outcome, fault.error)
        assert outcome.partial.usage.requests == 1
    else:
        assert_right(outcome)
        assert (outcome.usage.requests, outcome.usage.retries) == (asked, asked - 1)
    assert len(server.requests) == 1 + asked - fault.at_accept


@both_colours
@pytest.mark.parametrize("status", REDIRECT_STATUSES)
def test_a_redirect_is_an_error_and_nothing_goes_to_the_other_place(server, other_server, status, colour):
    fault = redirect(status, f"{other_server.url}/embeddings")
    server.strike(fault)
    during, after = embed_in_turn(colour, [server.heal], **options(server, fault))
    assert_ours(during, fault.error)
    assert_right(after)
    assert other_server.connections == 0
    assert len(server.requests) == 2
