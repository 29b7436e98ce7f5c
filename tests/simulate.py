"""Runs random worlds: `nox -s simulate -- --seeds 100000`, or one of them again: `nox -s simulate -- --seed 4711`.

`--bugs` plants bugs, one after another, and says after how many seeds each is found: laws that find nothing are none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from simulation.bugs import BUGS
from simulation.laws import check
from simulation.random_worlds import make

_CHUNK = 200


def failure_of(seed: int) -> str | None:
    """Run one world; return what is wrong with it, or None."""
    try:
        check(make(seed))
    except AssertionError as broken:
        return str(broken)
    except Exception:
        return f"seed {seed}: {traceback.format_exc(limit=-3)}"
    return None


def failures_of(seeds: range) -> list[str]:
    """Run some worlds."""
    return [failure for seed in seeds if (failure := failure_of(seed)) is not None]


def run(first: int, count: int, jobs: int) -> int:
    """Run worlds side by side; print those that fail, and how it went."""
    began, failed = time.monotonic(), 0
    chunks = [range(start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:  # a process that crashes is an error here, and is waited for in Pool
        for failures in pool.map(failures_of, chunks):
            failed += len(failures)
            for failure in failures:
                print(failure, flush=True)
    print(f"{count:,} worlds from seed {first:,}: {failed} broke a law; {time.monotonic() - began:.0f} s.")
    return failed


def found_after(name: str, most: int) -> int | None:
    """Plant a bug; return after how many seeds a law is broken."""
    with BUGS[name]():
        return next((seed + 1 for seed in range(most) if failure_of(seed) is not None), None)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this world alone, with the traceback of what breaks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--bugs", action="store_true", help="plant bugs, and look for each in --seeds worlds")
    given = parser.parse_args()
    if given.seed is not None:
        check(make(given.seed))
        print(f"World {given.seed} keeps its laws.")
        return 0
    if not given.bugs:
        return 1 if run(given.first, given.seeds, given.jobs) else 0
    missed = 0
    for name in BUGS:
        after = found_after(name, given.seeds)
        missed += after is None
        print(f"{name}: {'not found' if after is None else f'found by world {after:,}'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
