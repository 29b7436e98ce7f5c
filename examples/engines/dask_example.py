"""A job on Dask, on this machine: into Parquet and back, with one bad row.

Run `python examples/engines/dask_example.py`, with `openrouter-embeddings[dask]`. With OPENROUTER_API_KEY set it embeds
through OpenRouter; without, through the local gateway, which it starts by itself.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import Any

import dask.dataframe as dd
import pandas as pd

from openrouter_embeddings_engines import EmbedJob, Limit
from openrouter_embeddings_engines.on_dask import parquet_schema

TEXTS = ["Copy a whole directory tree.", None, "Turn a string into a date.", "Choose a random element of a list."]


def main() -> None:
    """Embed into Parquet, and show what came out."""
    with ExitStack() as stack:
        where: dict[str, Any] = {}
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            where = {"base_url": stack.enter_context(LocalGateway()).base_url}
            os.environ["OPENROUTER_API_KEY"] = "local"

        folder = stack.enter_context(tempfile.TemporaryDirectory())
        job = EmbedJob("qwen/qwen3-embedding-8b", dimensions=1024, limit=Limit(concurrency=16), max_cost=1, **where)
        frame = dd.from_pandas(pd.DataFrame({"text": TEXTS}), npartitions=2)
        embedded = job.dask(frame)
        embedded.to_parquet(folder, schema=parquet_schema(job, embedded))  # lazy until here, and embedded once
        for text, error in dd.read_parquet(folder)[["text", "embedding_error"]].itertuples(index=False):
            print(text, "|", error)


if __name__ == "__main__":
    main()
