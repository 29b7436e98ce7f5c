"""A key is held so that nothing prints it."""

from __future__ import annotations

import copy
import pickle

from pydantic import SecretStr

from openrouter_embeddings._secret import Secret, holds_secret


def test_a_secret_is_shown_by_nothing():
    secret = Secret("sk-1")
    assert "sk-1" not in f"{secret} {secret!r} {[secret]}"
    assert secret.get_secret_value() == "sk-1"
    assert not hasattr(secret, "__dict__")


def test_secrets_are_values():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert pickle.loads(pickle.dumps(Secret("a"))) == copy.deepcopy(Secret("a")) == Secret("a")


def test_what_is_made_to_hold_a_secret_is_known_and_its_class_is_not():
    assert holds_secret(Secret("a"))
    assert holds_secret(SecretStr("a"))
    assert not holds_secret(SecretStr)
    assert not holds_secret("a")
    assert not holds_secret(None)
