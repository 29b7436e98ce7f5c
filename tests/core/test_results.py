"""What a call and a stream hand back."""

from __future__ import annotations

import numpy as np

from openrouter_embeddings.results import EmbeddingResult
from openrouter_embeddings.stream import StreamProgress
from openrouter_embeddings.usage import Usage


def test_a_result_has_a_length_a_width_and_plain_floats():
    result = EmbeddingResult(embeddings=np.array([[1.0, 2.5], [3.0, 4.0]], np.float32), model="m")
    assert (len(result), result.dimensions) == (2, 2)
    assert result.tolist() == [[1.0, 2.5], [3.0, 4.0]]
    assert {type(number) for row in result.tolist() for number in row} == {float}
    assert (result.usage, result.providers, result.generation_ids, result.shortened) == (Usage(), (), (), ())


def test_a_result_of_nothing_is_empty():
    result = EmbeddingResult(embeddings=np.empty((0, 0), np.float32), model="m")
    assert (len(result), result.dimensions, result.tolist()) == (0, 0, [])


def test_results_are_told_apart_by_identity():
    rows = np.ones((1, 1), np.float32)
    assert EmbeddingResult(embeddings=rows, model="m") != EmbeddingResult(embeddings=rows, model="m")


def test_a_stream_has_a_rate_once_time_has_passed():
    assert StreamProgress(done=6, failed=4, seconds=2.0).rate == 5.0
    assert StreamProgress(done=6, failed=4, seconds=0.0).rate == 0.0
