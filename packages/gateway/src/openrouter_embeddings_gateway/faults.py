"""A share of requests that fail, in ways that follow from their bodies: the same requests meet the same faults."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from .troubles import Rule

LATE = 2.0
"""Seconds by which a late answer is late."""
_FAULTS = (
    Rule("status", options={"status": 500}),
    Rule("status", options={"status": 503, "retry_after": 1}),
    Rule("cut"),
    Rule("slow", options={"seconds": LATE}),
    Rule("status", options={"status": 429, "retry_after": 1}),
)
_REMEMBERED = 100_000


class Faults:
    """Says which requests fail.

    What becomes of a request depends on its body and on how often that body came before, not on the order in which
    requests arrive: a run is repeatable at any concurrency, and a retry of a request meets a fate of its own.
    """

    def __init__(self) -> None:
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def strike(self, raw: bytes, share: float) -> Rule | None:
        """Return the fault that a request meets, or None."""
        if not share:
            return None
        body = hashlib.blake2b(raw, digest_size=16).digest()
        time = self._times.pop(body, 0)
        self._times[body] = time + 1
        if len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)
        drawn = int.from_bytes(hashlib.blake2b(body + time.to_bytes(8, "little"), digest_size=8).digest(), "little")
        number, kind = divmod(drawn, len(_FAULTS))
        return _FAULTS[kind] if number < share * (2**64 // len(_FAULTS)) else None
