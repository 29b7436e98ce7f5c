"""Workers, threads and loops of other libraries: each text gets its own embedding, in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest

MADE = """
import asyncio, gc
from langchain_openrouter_embeddings import OpenRouterEmbeddings

TEXTS = [f"sentence number {number}" for number in range(40)]
model = OpenRouterEmbeddings("openai/text-embedding-3-small", dimensions=64)


def one(text):
    return model.embed_query(text)


async def all_of_them():
    return await asyncio.gather(*(model.aembed_query(text) for text in TEXTS))
"""


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(run_script, backend):
    run_script(
        MADE
        + dedent(f"""
    from joblib import Parallel, delayed

    if __name__ == "__main__":
        wanted = [one(text) for text in TEXTS]  # sockets and threads are there before any worker
        for _ in range(2):
            assert Parallel(n_jobs=2, backend={backend!r})(delayed(one)(text) for text in TEXTS) == wanted
            assert Parallel(n_jobs=2, backend={backend!r})(delayed(model.embed_query)(text) for text in TEXTS) == wanted
        print("all right")
    """)
    )


def test_uvloop(run_script):
    run_script(
        MADE
        + dedent("""
    import uvloop

    wanted = [one(text) for text in TEXTS]
    for _ in range(2):
        assert uvloop.run(all_of_them()) == wanted
        assert asyncio.run(all_of_them()) == wanted
        assert [one(text) for text in TEXTS] == wanted
    gc.collect()
    print("all right")
    """)
    )


def test_gevent(run_script):
    """Every thread is a greenlet then, and every socket gives way to others."""
    run_script(
        "from gevent import monkey\n\nmonkey.patch_all()\n"
        + MADE
        + dedent("""
    import gevent
    from gevent.pool import Pool

    wanted = model.embed_documents(TEXTS)
    for _ in range(2):
        assert Pool(8).map(one, TEXTS) == wanted
        jobs = [gevent.spawn(model.embed_documents, TEXTS) for _ in range(4)]
        gevent.joinall(jobs, timeout=60, raise_error=True)
        assert [job.value for job in jobs] == [wanted] * 4
    print("all right")
    """)
    )


CELERY = """
import os
from celery import Celery
from langchain_openrouter_embeddings import OpenRouterEmbeddings

HERE = os.path.dirname(os.path.abspath(__file__))
app = Celery("tasks", broker="filesystem://", backend=f"file://{HERE}/results")
app.conf.broker_transport_options = {f"{name}": f"{HERE}/queue" for name in ("data_folder_in", "data_folder_out")}
app.conf.broker_connection_retry_on_startup = True
model = OpenRouterEmbeddings("openai/text-embedding-3-small", dimensions=64)
model.embed_query("before the workers are forked")


@app.task
def embed(text):
    return os.getpid(), model.embed_query(text)
"""
ASKED = """
from tasks import embed, model

texts = [f"sentence number {number}" for number in range(40)]
wanted = model.embed_documents(texts)
answers = [asked.get(timeout=60) for asked in [embed.delay(text) for text in texts]]
assert [embedding for _, embedding in answers] == wanted
assert len({process for process, _ in answers}) == 2
print("all right")
"""


def test_celerys_forked_workers(run_script, tmp_path):
    for folder in ("queue", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tasks.py").write_text(CELERY)
    command = ["-m", "celery", "-A", "tasks", "worker", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING"]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, *command], cwd=tmp_path, stdout=log, stderr=log, env={**os.environ, "C_FORCE_ROOT": "1"}
        )
        try:
            run_script(ASKED)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) == 0
    said = (tmp_path / "log").read_text()
    assert "sk-or-canary" not in said
    assert "Traceback" not in said
