"""An option that does not exist is refused with the nearest that does."""

from __future__ import annotations

import pytest

from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.words import check_known


def test_what_exists_is_taken():
    check_known([])
    check_known(["dimensions", "model", "api_key"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dimension", " Did you mean 'dimensions'?"), ("max_concurrent", " Did you mean 'max_concurrency'?"), ("zzz", "")],
)
def test_what_does_not_exist_is_an_error_that_says_what_may_be_meant(name, hint):
    with pytest.raises(ConfigurationError) as caught:
        check_known(["model", name])
    assert str(caught.value) == (
        f"Option {name!r} is unknown.{hint} A request field newer than this release goes under extra_body."
    )
