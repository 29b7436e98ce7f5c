"""What went wrong with one request, and what may help. `rules` reads the gateway's own errors; here stand all others.

| billed | answers | remedy |
|---|---|---|
| surely not | 429, 503, 529, no connection | wait, as long as the wait budget lasts |
| perhaps | timed out, cut, 408, 500, 502, 504, 524, a broken 200 | one replay |
| not, and it is ours | 400, 401, 402, 403, 404, 413, 422, a certificate, a proxy's password | none; 400 and 413 are split |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from openrouter_embeddings import errors
from openrouter_embeddings._limits import Load

from .error_bodies import ErrorBody
from .exchange import TransportFailure, TransportFault


class Remedy(Enum):
    """What may help."""

    WAIT = "the same again, once the breaker is closed"
    RETRY = "nothing was billed: a pause, then the same again"
    REPLAY = "it may have been billed: the same again, once"
    SPLIT = "fewer inputs at once"
    ISOLATE = "an input is at fault: find it, and spare the others"
    ASK_FOR_FLOATS = "ask for floats instead of base64"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What went wrong with one request, and what may help.

    Attributes:
        kind: The error to raise where nothing helps.
        summary: What happened, the first words of its message.
        advice: The way out, a whole sentence.
        remedy: What may help.
        load: What it tells the limiter.
        retry_after: Seconds that the gateway asked to wait.
        error_body: The gateway's own words.
        batch_limit: Most inputs of a request, where the refusal names the number.
        ends_calls: Whether every other request of the client would meet the same now.
    """

    kind: type[errors.EmbeddingError]
    summary: str
    advice: str
    remedy: Remedy
    load: Load = Load.NEUTRAL
    retry_after: float | None = None
    error_body: ErrorBody | None = None
    batch_limit: int | None = None
    ends_calls: bool = False


TOO_LONG = Diagnosis(
    errors.InputTooLongError,
    "The input is too long for the model",
    "Split it into pieces, or set on_too_long.",
    Remedy.ISOLATE,
)


def _no_connection(summary: str, advice: str) -> Diagnosis:
    return Diagnosis(errors.ConnectionFailedError, summary, advice, Remedy.WAIT, Load.UNAVAILABLE)


def _final(summary: str, advice: str) -> Diagnosis:
    return Diagnosis(errors.ConnectionFailedError, summary, advice, Remedy.NONE, ends_calls=True)


_FAULTS = {
    TransportFault.DNS: _no_connection(
        "The gateway's name could not be resolved", "Check the host in base_url, and the network's DNS."
    ),
    TransportFault.REFUSED: _no_connection(
        "The connection was refused", "Check that the gateway runs at this address, and the port in base_url."
    ),
    TransportFault.UNREACHABLE: _no_connection(
        "Could not connect{because}", "Check the base URL, the network and any proxy."
    ),
    TransportFault.CONNECT_TIMEOUT: _no_connection(
        "Could not connect in time", "Check the base URL, the network and any firewall between."
    ),
    TransportFault.CERTIFICATE: _final(
        "The gateway's certificate is not trusted{because}",
        "Set SSL_CERT_FILE to a file with your CA's certificate, or pass an http_client that trusts it.",
    ),
    TransportFault.HOST_NAME: _final(
        "The gateway's certificate is for another host name", "Write that name in base_url."
    ),
    TransportFault.NOT_TLS: _final(
        "The server at this address speaks plain HTTP, not TLS", "Correct the port or the https:// in base_url."
    ),
    TransportFault.TLS: _final(
        "TLS could not be agreed on{because}", "Check that the port in base_url is one for https://."
    ),
    TransportFault.PROXY_UNREACHABLE: _no_connection(
        "The proxy could not be reached{because}", "Correct HTTPS_PROXY, or name the gateway in NO_PROXY."
    ),
    TransportFault.PROXY_AUTHENTICATION: _final(
        "The proxy refused the credentials{because}", "Correct the user and password in HTTPS_PROXY."
    ),
    TransportFault.PROXY_REFUSED: _final(
        "The proxy refused to connect to the gateway{because}",
        "Allow the gateway's host in the proxy, or name it in NO_PROXY.",
    ),
    TransportFault.PROXY_FAILED: _no_connection(
        "The proxy could not connect to the gateway{because}", "Check the host in base_url, and the proxy's network."
    ),
    TransportFault.TIMED_OUT: Diagnosis(
        errors.TimedOutError,
        "No complete answer within {seconds:g} s",
        "Raise timeout or lower batch_size. The request may have been billed.",
        Remedy.REPLAY,
        Load.FAILED,
    ),
    TransportFault.CONNECTION_LOST: Diagnosis(
        errors.ConnectionFailedError,
        "The connection broke before the answer was complete{because}",
        "The request may have been billed.",
        Remedy.REPLAY,
        Load.FAILED,
    ),
}


def diagnose_failure(failure: TransportFailure, *, seconds: float) -> Diagnosis:
    """Return what to make of an exchange without an answer that had so many seconds."""
    found = _FAULTS.get(failure.fault)
    if found is None:
        too_large = failure.fault is TransportFault.TOO_LARGE
        how = "was larger than any right answer" if too_large else "could not be decompressed"
        return diagnose_answer(f"the answer {how}", replay=not too_large)
    because = f" ({failure.detail})" if failure.detail else ""
    return replace(found, summary=found.summary.format(because=because, seconds=round(seconds, 3)))


def diagnose_answer(problem: str, *, replay: bool = True) -> Diagnosis:
    """Return what to make of an answer with status 200 that breaks the contract."""
    return Diagnosis(
        errors.ResponseError,
        problem[0].upper() + problem[1:],
        "Nothing of it was used or cached.",
        Remedy.REPLAY if replay else Remedy.NONE,
        Load.FAILED,
    )
