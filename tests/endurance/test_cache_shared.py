"""Many processes on one cache file, and a disk that takes no more or may not be written."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from openrouter_embeddings.cache import SqliteCache

from .support import PATIENCE, read_rows, report_with_a_hurt_cache, sized, texts, write_rows, writers_rows, zygote

WRITERS = READERS = 4
TRANSACTIONS = sized(500, 60)
NOBODY = 65534

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no users and limits of this kind there")


def test_four_writers_and_four_readers(tmp_path):
    path, context = str(tmp_path / "cache" / "embeddings.sqlite"), zygote()
    processes = [context.Process(target=write_rows, args=(path, n, TRANSACTIONS)) for n in range(WRITERS)]
    processes += [context.Process(target=read_rows, args=(path, WRITERS, TRANSACTIONS)) for _ in range(READERS)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(PATIENCE)
    assert [one.exitcode for one in processes] == [0] * (WRITERS + READERS)
    expected = {k: v for n in range(WRITERS) for one in range(TRANSACTIONS) for k, v in writers_rows(n, one).items()}
    with SqliteCache(path) as cache:
        assert cache.get(list(expected)) == expected
        assert cache.verify() == 0


def outcome(options, path, *, user=None, most=None):
    """Embed in a process of its own, whose cache is in trouble."""
    pipe, theirs = zygote().Pipe(duplex=False)
    process = zygote().Process(
        target=report_with_a_hurt_cache,
        args=(theirs, {**options, "cache": path, "batch_size": 5}, texts(50)),
        kwargs={"user": user, "most": most},
        daemon=True,
    )
    process.start()
    theirs.close()
    assert pipe.poll(PATIENCE)
    told = pipe.recv()
    pipe.close()
    process.join(PATIENCE)
    assert not isinstance(told, str), told
    return told


@pytest.mark.parametrize("most", [0, 20_000, 150_000])
def test_a_full_disk_costs_no_embedding_and_one_warning(options, truth, tmp_path, most):
    embeddings, _, warned = outcome({**options, "dimensions": 32}, str(tmp_path / "embeddings.sqlite"), most=most)
    assert np.array_equal(embeddings[0], truth[:5])
    assert np.array_equal(embeddings[1], truth)
    assert len(warned) == 1


@pytest.fixture
def open_folder():
    """A folder that another user may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("kept", [0, 5])
def test_a_read_only_disk_costs_no_embedding_and_one_warning(make, options, truth, open_folder, kept):
    path = open_folder / "embeddings.sqlite"
    if kept:
        with SqliteCache(path) as cache:
            make(cache=cache).embed_documents(texts(kept))
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o400)
    open_folder.chmod(0o555)
    embeddings, cached, warned = outcome(options, str(path), user=NOBODY)
    assert np.array_equal(embeddings[0], truth[:5])
    assert np.array_equal(embeddings[1], truth)
    assert cached == [kept, kept]
    assert len(warned) == 1
