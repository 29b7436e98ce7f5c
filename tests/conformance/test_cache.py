"""Law 6, over calls and objects: what is in the cache is not paid for again, whoever asks and in whichever colour."""

from __future__ import annotations

import os

import numpy as np
import pytest

from openrouter_embeddings import InsufficientCreditsError, MemoryCache, SqliteCache

MARKED = "voyageai/voyage-4"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "embeddings.sqlite")


def test_what_is_in_the_file_is_not_paid_for_again(make, gateway, truth, texts, path):
    """Another object with the same file sends nothing, and returns the same bits.

    Troubleshooting: a request means that the option does not reach the core, or that the key holds what changes no
    number.
    """
    first = make(cache=path).embed_documents(texts)
    subject = make(cache=path)
    np.testing.assert_array_equal(subject.embed_documents(texts), first)
    assert gateway.paid_inputs() == len(texts)
    assert (subject.usage.requests, subject.usage.cached, subject.usage.cost) == (0, len(texts), 0.0)


def test_a_run_after_an_error_pays_for_the_rest_only(make, gateway, truth, texts, path):
    """Each batch is kept when it lands, so that whoever runs the script again goes on where it stopped.

    Troubleshooting: more paid inputs mean that the cache is filled at the end of a call.
    """
    gateway.trouble("status", status=402, after=3, times=None)
    with pytest.raises(InsufficientCreditsError):
        make(cache=path, batch_size=4, max_concurrency=1).embed_documents(texts)
    gateway.reset()
    again = make(cache=path)
    np.testing.assert_allclose(again.embed_documents(texts), truth.rows(texts), atol=1e-6)
    assert (gateway.paid_inputs(), again.usage.cached) == (len(texts) - 12, 12)


def test_one_file_serves_every_framework_in_both_colours(all_of_them, gateway, texts, path):
    """What one of the eight has paid for, on either side, is free for the seven others.

    Troubleshooting: more than one payment means that an adapter's own default is in the key.
    """
    rows = []
    for one in all_of_them(model=MARKED, dimensions=256, cache=path):
        rows.append(np.vstack([one.embed_documents(texts[:3]), one.embed_query(texts[0])]))
        assert one.usage.cached == (0 if len(rows) == 1 else 4)
    assert gateway.paid_inputs() == 4
    for one in rows[1:]:
        np.testing.assert_array_equal(one, rows[0])
    assert not np.allclose(rows[0][0], rows[0][3]), "the two sides are two entries"


def test_a_query_and_a_document_of_one_text_are_two_entries(make, gateway):
    """A model that tells them apart gives them other numbers.

    Troubleshooting: one payment means that the key is the text alone, as in the frameworks' own caches.
    """
    subject = make(model=MARKED, dimensions=256, cache=MemoryCache())
    document, query = subject.embed_documents(["a"])[0], subject.embed_query("a")
    np.testing.assert_array_equal(subject.embed_query("a"), query)
    assert not np.allclose(document, query)
    assert gateway.paid_inputs() == 2


@pytest.mark.parametrize("how", ["path", "sqlite", "memory"])
def test_a_path_an_os_path_and_an_object_will_do(make, gateway, tmp_path, texts, how):
    """The option is the core's, in every framework.

    Troubleshooting: an error means that a constructor takes strings only.
    """
    file = tmp_path / "embeddings.sqlite"
    cache = {"path": lambda: file, "sqlite": lambda: SqliteCache(file), "memory": MemoryCache}[how]()
    for _ in range(2):
        make(cache=cache).embed_documents(texts[:3])
    assert gateway.paid_inputs() == 3


def test_no_dump_holds_the_secret_of_a_cache(kind, make, tmp_path):
    """A cache with a secret may be given to any framework. What cannot be saved says so, and does not show it.

    Troubleshooting: a secret in a dump stands in a file that many may read.
    """
    subject = make(cache=SqliteCache(tmp_path / "e.sqlite", secret="quillfeather"))
    try:
        dumps = subject.dumps()
    except ValueError as error:
        assert kind.needs == "haystack", "the others leave the object out"
        dumps = [str(error)]
        assert "Give the cache as the path of its file" in dumps[0]
    assert "quillfeather" not in repr(subject.parts) + "".join(dumps)


@pytest.mark.skipif(os.name == "nt", reason="files have other rights there")
def test_the_file_is_for_its_owner_only(make, texts, tmp_path, path):
    """Embeddings can leak their text.

    Troubleshooting: other rights mean that the file is made before its rights are set.
    """
    make(cache=path).embed_documents(texts[:1])
    assert {one.stat().st_mode & 0o077 for one in tmp_path.iterdir()} == {0}
