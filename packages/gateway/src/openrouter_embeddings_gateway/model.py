"""Text to numbers: a static table of token embeddings, averaged.

The table is wordllama's published weights, read as files; the package itself is never imported, because its
import changes the host's logging. Where the wheel is missing, hashed character n-grams stand in, which place
like texts near each other but know no words.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

TRAINED = 256
"""Width of the numbers the model was trained on."""
_GRAM_ROWS = 1 << 14


@dataclass(frozen=True, slots=True)
class Text:
    """A text as rows of the table, and how many tokens are counted for it."""

    ids: Ids
    tokens: int


class Tokenizer(Protocol):
    """What cuts texts into rows of the table."""

    def __call__(self, texts: Sequence[str], /) -> list[Text]:
        """Return one `Text` per text."""


@dataclass(frozen=True, slots=True)
class Model:
    """Embeds by the mean of table rows. One text and a batch give the same bits."""

    name: str
    description: str
    table: Matrix
    tokenize: Tokenizer
    real: bool

    def embed(self, texts: Sequence[Text]) -> Matrix:
        """Return rows of unit length, shape (n, 256). A text without a token gives a row of zeros."""
        rows = np.zeros((len(texts), TRAINED), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if len(text.ids):
                self.table[text.ids].mean(axis=0, out=row)
        return unit(rows)


def unit(rows: Matrix) -> Matrix:
    """Return the rows at length 1; a row of zeros stays one."""
    # Row by row sums: einsum and BLAS may round a row differently depending on how many rows stand around it.
    lengths = np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True, dtype=np.float64))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def load_model() -> Model:
    """Return wordllama's model where its wheel is installed, else the hashed stand-in."""
    folder = _wordllama_folder()
    return hashed_model() if folder is None else static_model(folder)


def _wordllama_folder() -> Path | None:
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder if _weights(folder).exists() and _tokenizer(folder).exists() else None


def _weights(folder: Path) -> Path:
    return folder / "weights" / "l2_supercat_256.safetensors"


def _tokenizer(folder: Path) -> Path:
    return folder / "tokenizers" / "l2_supercat_tokenizer_config.json"


def static_model(folder: Path) -> Model:
    """Return the model in wordllama's package folder."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer as Reader

    reader: Any = Reader.from_file(str(_tokenizer(folder)))
    reader.no_padding()
    reader.no_truncation()

    def tokenize(texts: Sequence[str]) -> list[Text]:
        if len(texts) == 1:  # a batch of one would start the tokenizer's threads for nothing
            encodings = [reader.encode(texts[0], add_special_tokens=False)]
        else:
            encodings = reader.encode_batch_fast(list(texts), add_special_tokens=False)
        return [Text(np.array(one.ids, dtype=np.int64), len(one.ids)) for one in encodings]

    table = load_file(str(_weights(folder)))["embedding.weight"].astype(np.float32)
    description = "wordllama l2_supercat, a static model of 256 numbers: real, but weaker than the models it stands for"
    return Model("wordllama-l2-supercat-256", description, table, tokenize, real=True)


def hashed_model() -> Model:
    """Return the stand-in: each word is the mean of random rows, one per character n-gram of 3 to 5."""
    table = np.random.RandomState(20_000).standard_normal((_GRAM_ROWS, TRAINED)).astype(np.float32)

    def one(text: str) -> Text:
        words = text.lower().split()
        grams = [
            zlib.crc32(padded[start : start + size].encode()) % _GRAM_ROWS
            for padded in (f"<{word}>" for word in words)
            for size in (3, 4, 5)
            for start in range(max(1, len(padded) - size + 1))
        ]
        return Text(np.array(grams, dtype=np.int64), max(len(words), len(text) // 4))

    description = (
        "hashed character n-grams, a stand-in without a trained model: install the extra 'model' for a real one"
    )
    return Model("hashed-ngrams-256", description, table, lambda texts: [one(text) for text in texts], real=False)
