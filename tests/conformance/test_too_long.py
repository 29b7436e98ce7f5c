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
