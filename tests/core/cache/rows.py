"""Rows for the caches of these tests: values that follow from their keys."""

from __future__ import annotations


def rows(count: int, width: int = 64, start: int = 0) -> dict[bytes, bytes]:
    """Return so many rows of so many bytes each."""
    return {f"key-{n}".encode(): (f"{n}:".encode() * width)[:width] for n in range(start, start + count)}
