"""A job whose limit is kept in Redis: workers that know nothing of each other keep it together."""

from __future__ import annotations

import pyarrow as pa
import pytest

from openrouter_embeddings import BudgetExceededError, ConfigurationError
from openrouter_embeddings_engines import Limit, embed_table
from openrouter_embeddings_engines.worker import new_client

TABLE = pa.table({"text": [f"a text with the number {number}" for number in range(40)]})


def test_two_clients_of_a_job_never_have_more_in_flight_than_its_limit(
    job_for, redis_server, embeddings_gateway, monkeypatch
):
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    embeddings_gateway.configure(latency=0.02, cap=1)
    job = job_for(limit=Limit(concurrency=1, at="$REDIS_URL"), batch_size=4)
    for _ in range(2):
        with new_client(job, 2) as client:
            assert embed_table(client, job, TABLE).column("embedding").null_count == 0
    assert embeddings_gateway.usage()["refused"] == 0


def test_the_budget_of_a_job_holds_over_its_clients(job_for, redis_server, embeddings_gateway):
    job = job_for(limit=Limit(at=redis_server.url), max_cost=1e-9, allow_literal_key=True, batch_size=1)
    with pytest.raises(BudgetExceededError), new_client(job, 2) as client:
        embed_table(client, job, TABLE)
    paid = embeddings_gateway.paid_inputs()
    with pytest.raises(BudgetExceededError), new_client(job, 2) as client:
        embed_table(client, job, TABLE)
    assert embeddings_gateway.paid_inputs() == paid


def test_a_variable_that_is_missing_on_a_worker_is_named(job_for):
    with pytest.raises(ConfigurationError, match="No limit: the variable NO_SUCH_REDIS is not set on this worker"):
        new_client(job_for(limit=Limit(at="$NO_SUCH_REDIS")))
