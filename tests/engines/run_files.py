"""A run over files in a process of its own, which kills or interrupts itself at a given step; the tests start it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from openrouter_embeddings_engines import EmbedJob, Limit
from openrouter_embeddings_engines import files as files_module
from openrouter_embeddings_engines.folder import Folder
from openrouter_embeddings_engines.ledger import Journal

order = json.loads(sys.argv[1])
moment, after = order.get("moment"), order.get("parts", 0)
passed = 0


def die_before(owner: Any, name: str) -> None:
    """Kill this process when the function is called for the part after the first ones."""
    function = getattr(owner, name)

    def dying(*arguments: Any, **options: Any) -> Any:
        global passed
        passed += 1
        if passed > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, name, dying)


if moment == "landed":
    die_before(files_module.Run, "_commit")
elif moment == "written":
    die_before(Journal, "end")
elif moment == "ended":
    move = Folder.move
    Folder.move = lambda folder, name, to: (  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGKILL) if to.startswith("part-") and _is_due() else move(folder, name, to)
    )
elif moment == "moved":
    die_before(Journal, "close")
elif moment == "interrupted":
    embed = files_module.Run._embed

    def interrupting(run: Any, part: Any) -> None:
        # The kernel picks the thread. This one is not the one that waits.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        embed(run, part)

    files_module.Run._embed = interrupting  # type: ignore[method-assign]


def _is_due() -> bool:
    global passed
    passed += 1
    return passed > after


if moment is not None:
    files_module.parts_at_once = lambda *_: 1
EmbedJob(
    "openai/text-embedding-3-small",
    base_url=order["base_url"],
    dimensions=8,
    batch_size=16,
    limit=Limit(concurrency=order.get("concurrency", 1)),
    cache=order.get("cache"),
).files(order["source"], order["target"], part_rows=100)
