"""Turns calls into bytes, and bytes into what they mean: answers checked, errors diagnosed, listings read."""

from .answers import BatchResult, MalformedAnswer, read_answer
from .diagnosis import TOO_LONG, Diagnosis, Remedy, diagnose_answer, diagnose_failure
from .error_bodies import ErrorBody, read_error
from .exchange import Response, TransportFailure, TransportFault, merged, request_body
from .listings import Endpoint, narrowed, parse_models, read_endpoints
from .redaction import redacted
from .rules import diagnose_error

__all__ = [
    "TOO_LONG",
    "BatchResult",
    "Diagnosis",
    "Endpoint",
    "ErrorBody",
    "MalformedAnswer",
    "Remedy",
    "Response",
    "TransportFailure",
    "TransportFault",
    "diagnose_answer",
    "diagnose_error",
    "diagnose_failure",
    "merged",
    "narrowed",
    "parse_models",
    "read_answer",
    "read_endpoints",
    "read_error",
    "redacted",
    "request_body",
]
