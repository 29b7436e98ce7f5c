"""Removes what killed processes left of their coverage: `coverage combine` stops at the first file that is torn."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from coverage import CoverageData
from coverage.exceptions import CoverageException


def torn(path: Path) -> bool:
    """Say whether a data file cannot be combined with others."""
    try:
        one = CoverageData(str(path))
        one.read()
        CoverageData(no_disk=True).update(one)
    except (CoverageException, sqlite3.Error):
        return True
    return False


if __name__ == "__main__":
    for path in Path().glob(".coverage.*"):
        if torn(path):
            print(f"{path} is torn")
            path.unlink(missing_ok=True)
