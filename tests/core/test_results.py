"""What a call and a stream hand back."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from openrouter_embeddings.errors import ConfigurationError, InputError
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


def with_a_gap() -> EmbeddingResult:
    rows = np.array([[1.0, 2.5], [np.nan, np.nan], [3.0, 4.0]], np.float32)
    return EmbeddingResult(embeddings=rows, model="m", errors={1: InputError("no")}, missing_positions=(1,))


def test_a_missing_row_is_marked_and_none_among_plain_floats():
    result = with_a_gap()
    assert result.missing.tolist() == [False, True, False]
    assert result.missing.dtype == bool
    assert result.tolist() == [[1.0, 2.5], None, [3.0, 4.0]]
    whole = EmbeddingResult(embeddings=result.embeddings[:1], model="m")
    assert (whole.missing.tolist(), dict(whole.errors), whole.missing_positions) == ([False], {}, ())


def test_a_result_travels_with_its_errors():
    same = pickle.loads(pickle.dumps(with_a_gap()))
    assert (same.errors[1].message, same.missing_positions, same.tolist()[1]) == ("no", (1,), None)


def test_arrow_gets_the_memory_itself_and_null_for_a_missing_row():
    pa = pytest.importorskip("pyarrow")
    result = with_a_gap()
    array = result.to_arrow()
    array.validate(full=True)
    assert array.type == pa.list_(pa.float32(), 2)
    assert array.to_pylist() == [[1.0, 2.5], None, [3.0, 4.0]]
    assert array.values.buffers()[1].address == result.embeddings.ctypes.data


def test_no_nan_reaches_a_parquet_file(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"embedding": with_a_gap().to_arrow()}), tmp_path / "e.parquet", write_statistics=False)
    back = pq.read_table(tmp_path / "e.parquet")["embedding"].combine_chunks()
    assert back.to_pylist() == [[1.0, 2.5], None, [3.0, 4.0]]
    assert not np.isnan(back.flatten().to_numpy()).any()


@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (9, 3)])
def test_arrow_takes_results_of_any_shape(shape):
    pytest.importorskip("pyarrow")
    rows = np.full(shape, np.nan, np.float32)
    result = EmbeddingResult(embeddings=rows[:, ::-1], model="m", missing_positions=tuple(range(shape[0])))
    array = result.to_arrow()
    array.validate(full=True)
    assert array.to_pylist() == [None] * shape[0]


def test_without_pyarrow_the_advice_is_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        with_a_gap().to_arrow()


def test_results_are_told_apart_by_identity():
    rows = np.ones((1, 1), np.float32)
    assert EmbeddingResult(embeddings=rows, model="m") != EmbeddingResult(embeddings=rows, model="m")


def test_a_stream_has_a_rate_once_time_has_passed():
    assert StreamProgress(done=6, failed=4, seconds=2.0).rate == 5.0
    assert StreamProgress(done=6, failed=2, missing=2, seconds=2.0).rate == 5.0
    assert StreamProgress(done=6, failed=4, seconds=0.0).rate == 0.0
