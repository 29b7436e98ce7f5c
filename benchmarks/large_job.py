"""The plan for a large job: requests, hours, bytes, dollars, and what one machine must bear. Arithmetic, no measurement.

python benchmarks/large_job.py --texts 1e9
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

CPU_PER_TEXT = 25e-6
"""Seconds of one core for an embedding of 1536 dimensions as an array: benchmarks/results/latest.md, row 5."""
TLS = 1.5
"""How much more it costs over TLS, at most: benchmarks/results/latest-1-9.md."""
BASE64 = 4 / 3


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, and within which limits."""

    texts: int = 1_000_000_000
    tokens: int = 200
    """Of a text, on average."""
    dimensions: int = 1536
    batch: int = 256
    """Texts of a request."""
    per_second: float = 50.0
    """Requests that the account may send."""
    seconds: float = 1.5
    """That a request takes."""
    price: float = 0.02
    """USD for a million tokens."""
    part: int = 250_000
    """Rows of a part of the output."""

    @property
    def requests(self) -> int:
        """All requests, each full."""
        return -(-self.texts // self.batch)

    @property
    def duration(self) -> float:
        """Seconds, at the rate that is allowed."""
        return self.requests / self.per_second

    @property
    def in_flight(self) -> int:
        """Requests in flight that the rate needs (Little's law)."""
        return -int(-self.per_second * self.seconds // 1)

    @property
    def stored(self) -> int:
        """Bytes of the embeddings as float32. They do not compress."""
        return self.texts * self.dimensions * 4

    @property
    def cores(self) -> float:
        """Cores that the clients keep busy, over TLS; the width counts, as most of the work is decoding."""
        per_text = CPU_PER_TEXT * TLS * self.dimensions / 1536
        return self.texts * per_text / self.duration

    def lines(self) -> list[tuple[str, str]]:
        """Return what the plan says, line by line."""
        cost = self.texts * self.tokens / 1e6 * self.price
        received = self.stored * BASE64 * 8 / self.duration
        parts = -(-self.texts // self.part)
        return [
            ("requests", f"{self.requests:,} of {self.batch} texts"),
            ("time", f"{self.duration / 3600:,.1f} h at {self.per_second:g} requests a second"),
            ("requests in flight", f"{self.in_flight} at {self.seconds:g} s each"),
            ("tokens", f"{self.texts * self.tokens / 1e6:,.0f} M, {self.tokens * self.batch * self.per_second * 60 / 1e6:,.0f} M a minute"),
            ("cost", f"{cost:,.0f} USD at {self.price:g} a million tokens"),
            ("embeddings", f"{self.stored / 1e9:,.0f} GB of float32"),
            ("received", f"{received / 1e9:.2f} Gbit/s, in base64"),
            ("written", f"{self.stored / self.duration / 1e6:,.0f} MB/s"),
            ("CPU of the clients", f"{self.cores:.1f} cores, over TLS"),
            ("parts", f"{parts:,} of {self.part:,} rows, {self.stored / parts / 1e9:.1f} GB each"),
            ("a part", f"{self.duration / parts:,.0f} s, {cost / parts:,.2f} USD"),
        ]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in vars(Job()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    given = {name: type(getattr(Job, name))(value) for name, value in vars(parser.parse_args(arguments)).items()}
    job = Job(**given)
    print(f"{job.texts:,} texts of {job.tokens} tokens, {job.dimensions} dimensions")
    for name, value in job.lines():
        print(f"  {name:20}{value}")


if __name__ == "__main__":
    main()
