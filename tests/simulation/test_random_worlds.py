"""Some thousands of random worlds; `nox -s simulate` runs as many as it is told."""

from __future__ import annotations

import os

import pytest

from .laws import check
from .random_worlds import make

pytestmark = pytest.mark.usefixtures("unmeasured")

COUNT = int(os.environ.get("OPENROUTER_EMBEDDINGS_SEEDS", "2000"))
_EACH = 100


_BROKE_A_LAW = [5320, 10035, 98197]
"""Found by longer runs: a worker of a failed call gave up what another of its workers had in flight (the first two); an
input was blamed that had been refused beside one that landed later (the last)."""


@pytest.mark.parametrize("seed", _BROKE_A_LAW)
def test_a_world_that_broke_a_law_keeps_it(seed):
    check(make(seed))


@pytest.mark.parametrize("first", range(0, COUNT, _EACH))
def test_every_world_keeps_its_laws(first):
    for seed in range(first, first + _EACH):
        check(make(seed))
