"""Row 11: single queries while the same client does bulk work."""

from __future__ import annotations

import catalogue as c
from catalogue import Subject
from harness import Bench, Client
from results_of import Row

DIMENSIONS = 256
BATCH = 8
LATENCY = 0.2
CONCURRENCIES = (4, 16)
BULK_REQUESTS_PER_QUERY = 16
"""A query takes the place of a bulk request: so many of these keep what queries cost the bulk call at 6 %."""


def queries_beside_bulk(bench: Bench) -> Row:
    """200 queries that come evenly over a bulk call, and without it."""
    queries = 50 if bench.quick else 200
    row = Row(11, f"{queries} queries beside a bulk call of the same client, {LATENCY * 1e3:.0f} ms a request")
    row.columns = {
        "p50_alone": "p50 alone, s", "p99_alone": "p99 alone, s", "p50": "p50 beside, s", "p99": "p99 beside, s",
        "longest": "longest", "bulk_alone": "bulk alone, s", "bulk": "bulk beside, s",
    }  # fmt: skip
    server = bench.server(DIMENSIONS)
    for concurrency in CONCURRENCIES:
        subjects = [_of(subject, concurrency) for subject in (c.CORE, c.CORE_ASYNC)]
        with bench.clients(subjects, server) as clients:
            server.control(latency=LATENCY)
            for client in clients:
                client.do("load", count=queries * BULK_REQUESTS_PER_QUERY * BATCH)
            row.measured |= _measured(clients, queries, queries * BULK_REQUESTS_PER_QUERY * LATENCY / concurrency)
    for label, seen in row.measured.items():
        row.claim(f"{label}: p99 beside to p99 alone", seen["p99"] / seen["p99_alone"], 3.0)
        row.claim(f"{label}: the bulk call beside queries to alone", seen["bulk"] / seen["bulk_alone"], 1.1)
    row.notes.append(
        f"Queries come evenly over the bulk call's {queries * BULK_REQUESTS_PER_QUERY:,} requests of {BATCH} texts; alone,"
        " one every request's time. Seconds count from when a query was due. Threads and asyncio run side by side."
    )
    return row


def _of(subject: Subject, concurrency: int) -> Subject:
    return subject.but(f"{subject.label}, concurrency {concurrency}", batch_size=BATCH, max_concurrency=concurrency)


def _measured(clients: list[Client], queries: int, bulk_seconds: float) -> dict[str, dict[str, float]]:
    """Let all clients do the same at the same time: bulk alone, queries alone, both."""
    bulk = _all_do(clients, "documents")
    alone = _all_do(clients, "queries_evenly", count=queries, period=LATENCY, beside_bulk=False)
    beside = _all_do(clients, "queries_evenly", count=queries, period=bulk_seconds / (queries + 1), beside_bulk=True)
    return {
        client.subject.label: both | {"p50_alone": some["p50"], "p99_alone": some["p99"], "bulk_alone": all_["wall"]}
        for client, all_, some, both in zip(clients, bulk, alone, beside, strict=True)
    }


def _all_do(clients: list[Client], what: str, **arguments: object) -> list[dict[str, float]]:
    for client in clients:
        client.begin(what, **arguments)
    return [client.outcome() for client in clients]
