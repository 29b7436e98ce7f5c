"""Rows 1 and 7: one request, large and small."""

from __future__ import annotations

import catalogue as c
from harness import Bench
from results_of import Row

COUNT = 256


def one_request(bench: Bench) -> Row:
    """CPU of one request of 256 x 1536."""
    row = Row(1, "One request of 256 x 1536 in base64: client CPU")
    row.columns = {"us": "µs CPU a vector", "cpu_ms": "ms CPU", "floors": "x raw socket"}
    subjects = [
        c.SOCKET, c.HTTPX, c.CORE, c.CORE_LIST, c.CORE_ASYNC, *c.ADAPTERS, c.OPENAI, c.OPENROUTER, c.LANGCHAIN,
        c.LLAMA_INDEX.but(embed_batch_size=COUNT), c.PYDANTIC_AI, c.LITELLM, c.HAYSTACK.but(batch_size=COUNT),
    ]  # fmt: skip
    server = bench.server()
    with bench.clients(subjects, server) as clients:
        for client in clients:
            client.do("load", count=COUNT)
            client.do("documents", repeat=2)
        row.measured = bench.rounds(clients, 3 if bench.quick else 9, "documents", {}, repeat=8)
    floor = row.get(c.SOCKET.label) or 0.0
    for seen in row.measured.values():
        seen |= {"us": seen["cpu"] / COUNT * 1e6, "cpu_ms": seen["cpu"] * 1e3}
        seen["floors"] = seen["cpu"] / floor if floor else None
    row.ratio(c.CORE.label, c.HTTPX.label, 1.3)
    row.ratio(c.CORE_LIST.label, c.OPENAI.label, 0.5)
    row.ratio(c.CORE_LIST.label, c.LANGCHAIN.label, 0.45)
    row.notes.append("openrouter SDK, litellm and Haystack ask for floats of their own accord; the others for base64.")
    return row


def one_query(bench: Bench) -> Row:
    """CPU of a warm query at zero latency."""
    row = Row(7, "One warm query of 1536 dimensions at zero latency: client CPU")
    row.columns = {"us": "µs CPU", "wall_us": "µs wall", "floors": "x bare httpx"}
    peers = [c.OPENAI, c.OPENAI_ASYNC, c.OPENROUTER, c.LANGCHAIN, c.LLAMA_INDEX, c.PYDANTIC_AI, c.HAYSTACK, c.LITELLM]
    floors = [c.SOCKET, c.HTTPX, c.HTTPX_ASYNC, c.LLAMA_INDEX_BY_HAND]
    subjects = [*floors, c.CORE, c.CORE_ASYNC, *c.ADAPTERS, *peers]
    server = bench.server()
    with bench.clients(subjects, server) as clients:
        for client in clients:
            client.do("queries", count=50)
        row.measured = bench.rounds(clients, 5 if bench.quick else 11, "queries", {}, count=150)
    floor = row.get(c.HTTPX.label) or 0.0
    for seen in row.measured.values():
        seen |= {"us": seen["cpu"] * 1e6, "wall_us": seen["wall"] * 1e6}
        seen["floors"] = seen["cpu"] / floor if floor else None
    row.ratio(c.CORE.label, c.HTTPX.label, 1.3)
    row.ratio(c.CORE_ASYNC.label, c.HTTPX_ASYNC.label, 1.3)
    row.ratio(c.OUR_LANGCHAIN.label, c.HTTPX.label, 1.5)
    row.ratio(c.OUR_HAYSTACK.label, c.HTTPX.label, 1.5)
    ours, by_hand = row.get(c.OUR_LLAMA_INDEX.label), row.get(c.LLAMA_INDEX_BY_HAND.label)
    beyond = (ours - (by_hand - floor)) / floor if ours and by_hand and floor else None
    row.claim(f"{c.OUR_LLAMA_INDEX.label}, less LlamaIndex's own part, to {c.HTTPX.label} (cpu)", beyond, 1.5)
    in_threads, on_loop = peers[:], [c.OPENAI_ASYNC, c.PYDANTIC_AI]
    in_threads.remove(c.OPENAI_ASYNC)
    for mine, theirs in ((c.CORE, in_threads), *((one, in_threads) for one in c.ADAPTERS), (c.CORE_ASYNC, on_loop)):
        present = [one.label for one in theirs if row.get(one.label)]
        cheapest = min(present, key=lambda label: row.get(label) or 0.0, default=theirs[0].label)
        row.ratio(mine.label, cheapest, 1.0)
    row.notes.append(
        "LlamaIndex's own part, its events and boxes: what httpx by hand costs more as an embedder of LlamaIndex."
    )
    row.notes.append("Below every peer means below the cheapest one of the same colour, sync or async.")
    return row
