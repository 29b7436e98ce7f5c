"""Measures what this library costs beside its floors and its peers. ``nox -s bench`` makes the environments and runs it.

``--quick`` takes a few minutes and is rough; without it the run takes about half an hour and wants a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

from environments import make_all, versions  # noqa: E402
from harness import Bench  # noqa: E402
from results_of import Row, as_json, markdown  # noqa: E402
from rows import bulk, fairness, limits, request, start, stream, tls  # noqa: E402

ROWS: dict[int, Callable[[Bench], Row]] = {
    1: request.one_request,
    2: bulk.many_texts,
    3: bulk.adapters,
    4: stream.endless,
    5: bulk.growth,
    6: limits.refusals,
    7: request.one_query,
    8: start.starting,
    9: tls.edge,
    10: limits.changing_cap,
    11: fairness.queries_beside_bulk,
}


def main() -> int:
    """Run the rows, print each as it ends, write the results. Exit with 1 if something did not show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes where scaling is fair")
    parser.add_argument("--only", type=int, action="append", choices=sorted(ROWS), help="this row; may be repeated")
    parser.add_argument("--envs", type=Path, default=HERE / ".envs", help="where the environments are kept")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    parser.add_argument("--picture", type=Path, help="where to draw the picture; needs a run of rows 1, 2 and 7")
    given = parser.parse_args()
    pythons, absent = make_all(given.envs)
    for name, reason in absent.items():
        print(f"ABSENT {name}: {reason}")
    rows, began = [], time.time()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pythons, absent, quick=given.quick, folder=Path(folder))
        try:
            for number in given.only or ROWS:
                row = _measured(number, bench)
                rows.append(row)
                print(f"\n{markdown(row)}", flush=True)
        finally:
            bench.stop()
    about = _about(given.quick, time.time() - began, {name: versions(python) for name, python in pythons.items()})
    name = "quick" if given.quick else "latest"
    if given.only:
        name += "-" + "-".join(map(str, given.only))
    _write(given.out, name, rows, about, bench.failures)
    if given.picture:
        from plot import draw

        draw(given.out / f"{name}.json", given.picture)
    claims = [one for row in rows for one in row.claims]
    failed = [
        f"row {row.number}: {one.what}: {one.measured} ({one.goal})"
        for row in rows
        for one in row.claims
        if not one.passed
    ]
    print(f"{len(claims) - len(failed)} of {len(claims)} show. Left out: {bench.failures or 'nobody'}.")
    print("\n".join(failed))
    return 1 if failed else 0


def _measured(number: int, bench: Bench) -> Row:
    """Return the row; one that breaks does not take the others with it."""
    print(f"row {number} ...", file=sys.stderr, flush=True)
    try:
        return ROWS[number](bench)
    except Exception as failed:
        row = Row(number, f"did not run to its end: {type(failed).__name__}: {failed}")
        row.claim("the row runs", None, 1.0, why="it broke")
        return row


def _about(quick: bool, seconds: float, found: dict[str, dict[str, str]]) -> dict[str, object]:
    """Say where and with what it was measured."""
    return {
        "date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "system": platform.system(),
        "machine": platform.machine(), "cores": os.cpu_count(), "quick": quick, "seconds": round(seconds),
        "load_at_end": os.getloadavg()[0], "versions": found,
    }  # fmt: skip


def _write(out: Path, name: str, rows: list[Row], about: dict[str, object], failures: dict[str, str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    data = {"about": about, "left_out": failures, "rows": [as_json(row) for row in rows]}
    (out / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    head = f"# Benchmark results\n\n{about['date']}, Python {about['python']}, {about['cores']} cores"
    head += f" ({about['system']} {about['machine']}){', quick run' if about['quick'] else ''}, {about['seconds']} s.\n"
    if failures:
        head += "\nLeft out: " + "; ".join(f"{who} ({why})" for who, why in failures.items()) + ".\n"
    text = "\n".join([head, *map(markdown, rows)])
    (out / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
