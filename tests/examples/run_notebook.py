"""Runs a notebook's cells as Jupyter does: one after another, in one namespace, inside a running event loop."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sys
from pathlib import Path


async def run(cells: list[str]) -> None:
    """Run the cells; each may await."""
    names = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        code = compile(cell, f"In [{number}]", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if inspect.iscoroutine(running := eval(code, names)):
            await running


notebook = Path(sys.argv[1])
sys.path.insert(0, str(notebook.parent))
written = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
asyncio.run(run(["".join(cell["source"]) for cell in written if cell["cell_type"] == "code"]))
