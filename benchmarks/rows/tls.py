"""Row 9: behind an edge, which encrypts and compresses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import catalogue as c
from catalogue import Subject
from harness import Bench, Server
from nginx import Edge, is_missing
from results_of import Row

from .bulk import LATENCY, fresh_rounds

COUNT = 256
PLAIN = "plain HTTP: "
BULK = "bulk: "
BULK_PLAIN = "bulk, plain HTTP: "
OURS = (c.CORE, c.CORE_ASYNC)


def edge(bench: Bench) -> Row:
    """One request and bulk through nginx with TLS and gzip, and what each compression costs by itself."""
    row = Row(9, f"TLS and compression: one request of {COUNT} x 1536, and bulk at 100 ms, through nginx")
    row.columns = {
        "us": "µs CPU a vector", "to_plain": "x plain HTTP", "wire": "bytes a vector", "wall": "s wall", "most_in_flight": "in flight",
        "texts": "texts", "pays_below": "pays below, Mbit/s",
    }  # fmt: skip
    _unpacking(bench, row)
    if missing := is_missing():
        row.notes.append(f"Left out, as {missing} is not installed: requests through TLS and gzip.")
        return row
    server = bench.server()
    through = Edge(server, bench.folder)
    try:
        _one_request(bench, row, server, through)
        _bulk(bench, row, server, through)
    finally:
        through.stop()
    for prefix, plain in (("", PLAIN), (BULK, BULK_PLAIN)):
        for subject in OURS:
            row.ratio(f"{prefix}{subject.label}, auto", f"{plain}{subject.label}", 1.5)
    row.notes += [
        "nginx compresses at its default, level 1, and knows no zstd: `auto` is answered as it is, uncompressed.",
        "Peers ask for gzip, as httpx does unless told otherwise. Raw socket: TLS alone.",
        "Unpacking alone: of one answer, offline; a compression pays where the link is slower than the last column says.",
        "s wall says little here: server, nginx and client share the machine's cores, and nginx's own gzip is slow.",
    ]
    return row


def _one_request(bench: Bench, row: Row, server: Server, through: Edge) -> None:
    subjects = [
        c.SOCKET, c.HTTPX.but(f"{c.HTTPX.label}, gzip"), c.HTTPX.but(f"{c.HTTPX.label}, identity", encoding="identity"),
        *_compressed(""), c.OPENAI, c.OPENROUTER, c.LANGCHAIN, c.LLAMA_INDEX.but(embed_batch_size=COUNT), c.PYDANTIC_AI,
        c.LITELLM, c.HAYSTACK.but(batch_size=COUNT),
    ]  # fmt: skip
    plain = [subject.but(PLAIN + subject.label) for subject in (c.HTTPX, *OURS)]
    with bench.clients(plain, server) as direct, bench.clients(subjects, through) as encrypted:
        clients = [*direct, *encrypted]
        for client in clients:
            client.do("load", count=COUNT)
            client.do("documents", repeat=2)
        repeat = 8
        found = bench.rounds(clients, 3 if bench.quick else 9, "documents", {}, repeat=repeat)
    for seen in found.values():
        seen |= {"us": seen["cpu"] / COUNT * 1e6, "wire": seen["wire_bytes"] / repeat / COUNT, "most_in_flight": None}
    row.measured |= found
    _compare(row, "", PLAIN)


def _bulk(bench: Bench, row: Row, server: Server, through: Edge) -> None:
    many = 5_000 if bench.quick else 20_000
    few = min(many, 2_000)
    plain = [(subject.but(BULK_PLAIN + subject.label), many) for subject in OURS]
    peers = [(c.OPENAI, many), (c.OPENROUTER, many), (c.LANGCHAIN, many)]
    peers += [(c.LLAMA_INDEX, few // 2), (c.LITELLM, few), (c.HAYSTACK, few // 2)]
    encrypted = [(subject, many) for subject in _compressed(BULK)]
    encrypted += [(subject.but(BULK + subject.label), count) for subject, count in peers]
    subjects = [*plain, *encrypted]
    others = {subject.label: server for subject, _ in plain}
    turns = 1 if bench.quick else 3
    found = fresh_rounds(bench, subjects, turns, {"latency": LATENCY}, server=through, others=others)
    for subject, count in subjects:
        if (seen := found.get(subject.label)) is not None:
            seen |= {"us": seen["cpu"] / count * 1e6, "wire": seen["wire_bytes"] / count, "texts": f"{count:,}"}
    row.measured |= found
    _compare(row, BULK, BULK_PLAIN)


def _compressed(prefix: str) -> list[Subject]:
    """Return ours, sync and async, with each choice of compression."""
    return [
        subject.but(f"{prefix}{subject.label}, {choice}", compression=choice)
        for subject in OURS
        for choice in ("auto", "gzip")
    ]


def _compare(row: Row, prefix: str, plain: str) -> None:
    """Say for ours and the floor what TLS and compression add to plain HTTP."""
    for subject in (c.HTTPX, *OURS):
        base = row.get(plain + subject.label)
        for label, seen in row.measured.items():
            if base and label.startswith(f"{prefix}{subject.label}, "):
                seen["to_plain"] = seen["cpu"] / base


def _unpacking(bench: Bench, row: Row) -> None:
    script = Path(__file__).parent.parent / "unpacking.py"
    command = [str(bench.pythons["zstd"]), str(script), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row.measured |= {f"unpacking alone: {name}": seen for name, seen in json.loads(done.stdout).items()}
