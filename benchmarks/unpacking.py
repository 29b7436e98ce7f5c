"""What unpacking one answer costs, beside the bytes that it saves: how slow must a link be for each compression to pay?

A compression pays where sending the bytes that it saves would take longer than unpacking the rest. zstd needs Python
3.14 or `backports.zstd`, which the benchmark's environment "zstd" has; `nox -s bench -- --only 9` runs this in it.

    python benchmarks/unpacking.py
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable
from statistics import median
from typing import Any

from server import Rows

try:
    from compression import zstd
except ImportError:
    try:
        from backports import zstd
    except ImportError:
        zstd = None

COUNT = 256
DIMENSIONS = 1536
READ = 64 * 1024
ROUNDS, REPEATS = 9, 4
_GZIP, _DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS


def _zlib(level: int, wbits: int) -> tuple[Callable[[bytes], bytes], Callable[[], Any]]:
    """Return how a server packs, and what unpacks piece by piece."""

    def pack(body: bytes) -> bytes:
        packer = zlib.compressobj(level, zlib.DEFLATED, wbits)
        return packer.compress(body) + packer.flush()

    return pack, lambda: zlib.decompressobj(wbits)


def methods() -> dict[str, tuple[Callable[[bytes], bytes], Callable[[], Any]]]:
    """Return the compressions by name, each at the level that servers use."""
    found = {"gzip, level 1": _zlib(1, _GZIP), "gzip, level 6": _zlib(6, _GZIP), "deflate, level 6": _zlib(6, _DEFLATE)}
    if zstd is not None:
        found["zstd, level 3"] = (lambda body: zstd.compress(body, 3), zstd.ZstdDecompressor)
    return found


def measure() -> dict[str, dict[str, float]]:
    """Return for each form and compression the bytes on the wire and the CPU to unpack, of one embedding."""
    rows, found = Rows(DIMENSIONS), {}
    for form in ("base64", "floats"):
        body = rows.body(COUNT, 0, floats=form == "floats")
        found[f"{form}, identity"] = {"wire": len(body) / COUNT, "us": 0.0}
        for name, (pack, unpacker) in methods().items():
            packed = pack(body)
            seconds = _seconds_to_unpack(packed, body, unpacker)
            found[f"{form}, {name}"] = {
                "wire": len(packed) / COUNT,
                "us": seconds / COUNT * 1e6,
                "pays_below": (len(body) - len(packed)) * 8 / seconds / 1e6,
            }
    return found


def _seconds_to_unpack(packed: bytes, body: bytes, unpacker: Callable[[], Any]) -> float:
    """Return the CPU of unpacking, in pieces as they are read from a socket."""
    pieces = [packed[start : start + READ] for start in range(0, len(packed), READ)]
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REPEATS):
            unpack = unpacker()
            plain = b"".join([unpack.decompress(piece) for piece in pieces])
        spent.append((time.process_time() - began) / REPEATS)
        assert plain == body
    return median(spent)


def main() -> None:
    """Print the table, or the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure()
    if given.json:
        print(json.dumps(found))
        return
    print("| an embedding of 1,536 numbers | bytes on the wire | µs CPU to unpack | pays on links below, Mbit/s |")
    print("|---|---:|---:|---:|")
    for name, seen in found.items():
        pays = f"{seen['pays_below']:,.0f}" if "pays_below" in seen else "-"
        print(f"| {name} | {seen['wire']:,.0f} | {seen['us']:.1f} | {pays} |")


if __name__ == "__main__":
    main()
