"""How long the gateway asks us to wait, in each of the ways in which gateways say so."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._protocol.retry_after import parse_retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "in_body", "seconds"),
    [
        ({"retry-after-ms": "1500"}, None, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 9, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, None, 9.0),
        ({"retry-after": "7"}, None, 7.0),
        ({"retry-after": "0"}, None, 0.0),
        ({"retry-after": "0.25"}, None, 0.25),
        ({"retry-after": "7"}, 4, 7.0),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, None, 30.0),
        ({"retry-after": formatdate(NOW + 30)}, None, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, None, None),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 4, 4.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59"}, None, None),
        ({}, 40, 40.0),
        ({}, "2.5", 2.5),
        ({"x-ratelimit-reset": str(NOW + 9)}, None, 9.0),
        ({"x-ratelimit-reset": str((NOW + 9) * 1000)}, None, 9.0),
        ({"x-ratelimit-reset": str(NOW - 9)}, None, None),
        ({"retry-after": "NaN"}, None, None),
        ({"retry-after": "inf"}, None, None),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "Wed, 99 Foo"}, None, None),
        ({"retry-after": "86400"}, None, 86400.0),
        ({"retry-after": "86401"}, None, None),
        ({"retry-after-ms": "1e12"}, 5, None),
        ({}, True, None),
        ({}, 10**400, None),
        ({}, [5], None),
        ({}, None, None),
    ],
)
def test_every_dialect_is_read(headers, in_body, seconds):
    assert parse_retry_after(headers, in_body, now=NOW) == seconds


@given(st.text(max_size=40), st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
def test_no_value_makes_a_negative_or_endless_wait(header: str, in_body):
    headers = {"retry-after": header, "retry-after-ms": header, "x-ratelimit-reset": header}
    wait = parse_retry_after(headers, in_body, now=NOW)
    assert wait is None or 0.0 <= wait < float("inf")
