"""A text that is too long for its model: an error that names it, or what the user chose instead."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import InputTooLongError

LONG = " ".join(f"word{number}" for number in range(9000))
"""More tokens than the model's 8,191."""


def test_it_is_named_and_harms_no_other(make, truth, texts):
    """The others land and ride on the error.

    Troubleshooting: no position means that the batch was given up whole.
    """
    with pytest.raises(InputTooLongError) as caught:
        make().embed_documents([texts[0], LONG, texts[1]])
    assert caught.value.positions == (1,)
    rows = caught.value.partial.embeddings
    np.testing.assert_allclose(rows[[0, 2]], truth.rows(texts[:2]), atol=1e-6)
    assert np.isnan(rows[1]).all()


@pytest.mark.parametrize("choice", ["truncate", "average"])
def test_it_is_cut_or_averaged_where_that_is_chosen(make, sent, truth, texts, choice):
    """Its row is that of its beginning, or the mean of its pieces; the others are what they were.

    Troubleshooting: an error means that the option does not reach the core; a row of another length than one, that a
    mean was not scaled.
    """
    rows = make(on_too_long=choice).embed_documents([texts[0], LONG, texts[1]])
    np.testing.assert_allclose(rows[[0, 2]], truth.rows(texts[:2]), atol=1e-6)
    landed = [text for one in sent() if one.status == 200 for text in one.body["input"]]
    pieces = [text for text in landed if text not in texts]
    assert all(piece in LONG for piece in pieces)
    if choice == "truncate":
        assert LONG.startswith(pieces[-1])
        np.testing.assert_allclose(rows[1], truth.rows(pieces[-1:])[0], atol=1e-6)
    else:
        assert sum(map(len, pieces)) >= len(LONG) - len(pieces)
        assert np.linalg.norm(rows[1]) == pytest.approx(1.0, abs=1e-5)
        mean = np.average(truth.rows(pieces), axis=0, weights=[len(piece) for piece in pieces])
        assert rows[1] @ mean / np.linalg.norm(mean) > 0.999


def test_a_query_is_cut_too(make, sent, truth):
    """A question that somebody pasted a page into is embedded by its beginning.

    Troubleshooting: an error means that only documents are cut.
    """
    row = make(on_too_long="truncate").embed_query(LONG)
    piece = sent()[-1].body["input"][0]
    assert LONG.startswith(piece)
    np.testing.assert_allclose(row, truth.rows([piece])[0], atol=1e-6)
