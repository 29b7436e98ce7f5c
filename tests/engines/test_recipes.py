"""docs/engines.md: what it shows for Daft, Spark and the rest runs as it stands; its numbers are those of the script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .sizes import IS_ASKED_FOR

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text()
NEEDS = {
    "Daft": "daft",
    "Spark": "pyspark",
    "Hugging Face datasets": "datasets",
    "DuckDB": "duckdb",
    "Polars": "polars",
    "LanceDB": "lancedb",
}


def programs(heading: str) -> list[str]:
    """Return the Python of one section, block by block."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_the_plan_is_what_the_script_prints() -> None:
    script = [sys.executable, str(ROOT / "benchmarks" / "large_job.py")]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert "3,906,250 of 256 texts" in printed
    assert f"```\n{printed}```" in PAGE
    half = subprocess.run([*script, "--per-second", "25"], capture_output=True, text=True, check=True).stdout
    assert "43.4 h at 25 requests a second" in half


def test_the_first_block_is_a_job() -> None:
    (first,) = re.findall(r"```python\n(.*?)```", PAGE.partition("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {}
    exec(first, names)
    assert names["job"].limit.concurrency == 64


@pytest.mark.parametrize("heading", ["Files, without an engine", "One limit for all: Redis"])
def test_what_needs_no_engine_runs_as_it_stands(heading: str, embeddings_gateway: Any, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "OPENROUTER_API_BASE": embeddings_gateway.base_url,
        "OPENROUTER_API_KEY": "sk-the-key-of-the-tests",
    }
    for block in programs(heading):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), "a block shows something"


@pytest.mark.skipif(not IS_ASKED_FOR, reason="needs the engines: nox -s engines")
@pytest.mark.parametrize("heading", NEEDS)
def test_a_recipe_runs_as_it_stands(heading: str, embeddings_gateway: Any, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[heading])
    environment = {
        **os.environ,
        "OPENROUTER_API_BASE": embeddings_gateway.base_url,
        "OPENROUTER_API_KEY": "sk-the-key-of-the-tests",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "HF_HOME": str(tmp_path / "hf"),
    }
    blocks = programs(heading)
    assert blocks
    for block in blocks:
        script = tmp_path / "recipe.py"
        script.write_text(block)
        done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "sk-the-key" not in done.stdout + done.stderr
    # Each text is paid for once: the second of Daft's blocks has no cache and pays for its two.
    texts = {"Daft": 4, "Spark": 2, "Hugging Face datasets": 0, "DuckDB": 3000, "Polars": 0, "LanceDB": 3}[heading]
    if texts:
        assert embeddings_gateway.paid_inputs() == texts
