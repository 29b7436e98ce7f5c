"""A gateway that is killed in the middle of bulk work: a restart loses nothing, an outage ends with an error."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from openrouter_embeddings import AsyncClient, Client, ConnectionFailedError
from openrouter_embeddings_gateway import LocalGateway

from ..support.sockets import closed_port
from .support import MODEL, PATIENCE, sized, texts

COUNT = 20_000
BATCH = 32  # the requests in flight when the gateway dies are sent again: 16 of 625, not 16 of 79
AWAY = sized(4.0, 1.0)  # seconds; its start takes another second or two
WAIT_BUDGET = 1.0


class Outage:
    """A gateway of the test's own, killed once a part of the work is done, and started again where `away` is given."""

    def __init__(self, away: float | None) -> None:
        self.gateway = LocalGateway.start(latency=0.02)
        self.base_url = self.gateway.base_url
        self._away = away
        self._begin = threading.Event()
        self._struck_at = 0.0
        self._thread = threading.Thread(target=self._strike)
        self._thread.start()

    def at_a_quarter(self, done: int, total: int) -> None:
        """Begin once a quarter of the work is done."""
        if done >= total // 4:
            self._begin.set()

    def end(self) -> None:
        """Stop what runs."""
        self._begin.set()
        self._thread.join(PATIENCE)
        self.gateway.stop()

    def _strike(self) -> None:
        self._begin.wait()
        self.gateway._process.kill()
        self.gateway.stop()
        if self._away is not None:
            time.sleep(self._away)
            port = int(self.base_url.removesuffix("/api/v1").rpartition(":")[2])
            self.gateway = LocalGateway.start(port, latency=0.02)


@pytest.fixture
def outage(request):
    struck = Outage(request.param)
    yield struck
    struck.end()


def embed(colour, wanted, on_progress, **options):
    """Embed in threads or on a loop; return the result, or the error, and the seconds that it took."""
    began = time.monotonic()
    try:
        if colour == "sync":
            with Client(MODEL, **options) as client:
                outcome = client.embed(wanted, input_type="document", on_progress=on_progress)
        else:
            outcome = asyncio.run(_aembed(wanted, on_progress, **options))
    except ConnectionFailedError as error:
        outcome = error
    return outcome, time.monotonic() - began


async def _aembed(wanted, on_progress, **options):
    async with AsyncClient(MODEL, **options) as client:
        return await client.embed(wanted, input_type="document", on_progress=on_progress)


@pytest.fixture(scope="module")
def right(embeddings_gateway_process):
    with Client(MODEL, base_url=embeddings_gateway_process.base_url, api_key="k", dimensions=32) as client:
        return client.embed_documents(texts(COUNT)).embeddings


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("outage", [AWAY], indirect=True, ids=["away"])
def test_a_restart_in_the_middle_of_bulk_work_loses_nothing_and_costs_few_requests(outage, options, right, colour):
    given = {**options, "base_url": outage.base_url, "batch_size": BATCH}
    result, _ = embed(colour, texts(COUNT), outage.at_a_quarter, **given)
    assert np.array_equal(result.embeddings, right)
    assert result.usage.requests <= 1.05 * COUNT / BATCH
    assert result.usage.replays <= 16  # what was in flight; the rest met a port at which nobody listened


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("outage", [None], indirect=True, ids=["for ever"])
def test_an_outage_that_outlasts_the_wait_budget_is_an_error_that_says_so(outage, options, right, colour):
    given = {**options, "base_url": outage.base_url, "batch_size": BATCH, "retry_timeout": WAIT_BUDGET}
    error, seconds = embed(colour, texts(COUNT), outage.at_a_quarter, **given)
    assert isinstance(error, ConnectionFailedError)
    message = str(error)
    assert message.startswith(f"The connection was refused at openrouter ({outage.base_url}): model '{MODEL}', inputs ")
    assert f" An outage is waited out for {WAIT_BUDGET:g} s (retry_timeout). " in message
    assert seconds < PATIENCE / 4  # the default wait budget is five minutes
    done = list(error.partial.positions_done)
    assert len(done) >= COUNT // 4
    assert np.array_equal(error.partial.embeddings[done], right[done])


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_an_address_that_has_never_answered_is_an_error_that_says_for_how_long_it_is_waited_for(options, colour):
    given = {**options, "base_url": f"http://127.0.0.1:{closed_port()}/api/v1", "retry_timeout": WAIT_BUDGET}
    error, _ = embed(colour, texts(3), None, **given)
    assert isinstance(error, ConnectionFailedError)
    assert str(error).endswith(f" An address that has never answered is waited for {WAIT_BUDGET:g} s.")
