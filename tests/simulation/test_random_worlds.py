"""Some thousands of random worlds; `nox -s simulate` runs as many as it is told."""

from __future__ import annotations

import os

import pytest

from .laws import check
from .random_worlds import make

pytestmark = pytest.mark.usefixtures("unmeasured")

COUNT = int(os.environ.get("OPENROUTER_EMBEDDINGS_SEEDS", "2000"))
_EACH = 100


@pytest.mark.parametrize("first", range(0, COUNT, _EACH))
def test_every_world_keeps_its_laws(first):
    for seed in range(first, first + _EACH):
        check(make(seed))
