"""What an exchange without an answer means, and an answer that breaks the contract."""

from __future__ import annotations

import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._limits import Load
from openrouter_embeddings._protocol import Remedy, TransportFailure, TransportFault, diagnose_answer, diagnose_failure

Fault = TransportFault
BEFORE_SENDING = list(TransportFault)[: list(TransportFault).index(TransportFault.PROXY_FAILED) + 1]
FINAL = {
    Fault.CERTIFICATE, Fault.HOST_NAME, Fault.NOT_TLS, Fault.TLS, Fault.PROXY_AUTHENTICATION, Fault.PROXY_REFUSED,
}  # fmt: skip


@pytest.mark.parametrize("fault", TransportFault, ids=lambda fault: fault.name)
def test_each_fault_has_a_summary_of_its_own_and_advice(fault):
    diagnosis = diagnose_failure(TransportFailure(fault, "DETAIL"), seconds=3.5)
    others = {
        diagnose_failure(TransportFailure(other), seconds=3.5).summary for other in TransportFault if other is not fault
    }
    assert diagnose_failure(TransportFailure(fault), seconds=3.5).summary not in others
    assert diagnosis.advice.endswith(".")
    assert "{" not in diagnosis.summary + diagnosis.advice


@pytest.mark.parametrize("fault", BEFORE_SENDING, ids=lambda fault: fault.name)
def test_what_was_never_sent_costs_nothing_and_is_waited_for_or_final(fault):
    diagnosis = diagnose_failure(TransportFailure(fault), seconds=3.0)
    assert diagnosis.kind is errors.ConnectionFailedError
    if fault in FINAL:
        assert (diagnosis.remedy, diagnosis.load, diagnosis.ends_calls) == (Remedy.NONE, Load.NEUTRAL, True)
    else:
        assert (diagnosis.remedy, diagnosis.load, diagnosis.ends_calls) == (Remedy.WAIT, Load.UNAVAILABLE, False)


@pytest.mark.parametrize(
    ("fault", "kind", "remedy"),
    [
        (Fault.CONNECTION_LOST, errors.ConnectionFailedError, Remedy.REPLAY),
        (Fault.TIMED_OUT, errors.TimedOutError, Remedy.REPLAY),
        (Fault.BAD_ENCODING, errors.ResponseError, Remedy.REPLAY),
        (Fault.TOO_LARGE, errors.ResponseError, Remedy.NONE),
    ],
)
def test_what_may_have_been_billed_is_replayed_at_most_once(fault, kind, remedy):
    diagnosis = diagnose_failure(TransportFailure(fault, "ReadError"), seconds=3.0)
    assert (diagnosis.kind, diagnosis.remedy, diagnosis.load) == (kind, remedy, Load.FAILED)


def test_a_message_holds_the_seconds_and_the_detail_where_there_are_any():
    def summary(fault: TransportFault, detail: str = "") -> str:
        return diagnose_failure(TransportFailure(fault, detail), seconds=2.50004).summary

    assert summary(Fault.TIMED_OUT) == "No complete answer within 2.5 s"
    assert (
        summary(Fault.CONNECTION_LOST, "ReadError") == "The connection broke before the answer was complete (ReadError)"
    )
    assert summary(Fault.CONNECTION_LOST) == "The connection broke before the answer was complete"
    assert summary(Fault.PROXY_REFUSED, "p:1, 403") == "The proxy refused to connect to the gateway (p:1, 403)"


def test_a_broken_answer_is_replayed_unless_it_would_come_again():
    diagnosis = diagnose_answer("the answer was odd")
    assert (diagnosis.kind, diagnosis.summary) == (errors.ResponseError, "The answer was odd")
    assert (diagnosis.remedy, diagnosis.load) == (Remedy.REPLAY, Load.FAILED)
    assert diagnose_answer("the answer was odd", replay=False).remedy is Remedy.NONE
