"""Runs programs in forks of one process that has imported the frameworks, which takes each of them seconds otherwise.

Reads an order a line: the program, its folder, its environment, and where what it prints goes. Answers with exit codes.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

FRAMEWORKS = [
    "haystack.components.writers",
    "haystack.document_stores.in_memory",
    "haystack_integrations.components.embedders.openrouter_embeddings",
    "langchain_core.vectorstores",
    "langchain_openrouter_embeddings",
    "llama_index.core.ingestion",
    "llama_index.embeddings.openrouter",
]


def run(order: dict[str, Any]) -> int:
    """Run a program in a process of its own, as if it had just begun, and return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 0
    try:
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(Path(order["prints"]) / name, os.O_CREAT | os.O_WRONLY), number)
        sys.path.insert(0, "")
        exec(compile(order["program"], "<block>", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


for framework in FRAMEWORKS:
    import_module(framework)
for line in sys.stdin:
    print(run(json.loads(line)), flush=True)
