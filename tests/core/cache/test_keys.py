"""A key is a hash of everything that changes the numbers of an input, and of nothing else."""

from __future__ import annotations

import pytest

from openrouter_embeddings.cache import KEY_FORMAT, Keyer
from openrouter_embeddings.cache.keys import Fact

FACTS: tuple[Fact, ...] = (
    "https://openrouter.ai/api/v1", "openai/text-embedding-3-small", None, "query", 256, b"\x00\x01",
)  # fmt: skip


def key(facts: tuple[Fact, ...], text: bytes, secret: bytes | None = None) -> bytes:
    return Keyer(facts, secret=secret).key(text)


def test_golden_keys():
    """Frozen: a change here makes every stored embedding a second payment. Raise KEY_FORMAT only with a reason."""
    assert KEY_FORMAT == 1
    assert key(FACTS, b"hello").hex() == "72e8cc91b9c876be4be34e20ce687c530f63ac8171a1d958011ec0695bb88576"
    assert key(FACTS, b"hello", b"secret").hex() == "054b7c08fcb20022a66e984873402d7340fd637406e520d8724b51b293ae5256"
    assert key((), b"").hex() == "418af029acc1f3f11e8d7e0ddc05a27f0f80536d013645c20b4513c64e1d49bb"
    content = Keyer(FACTS).key_of_content(b'{"content":[]}').hex()
    assert content == "4ade34f19180bc2b46f90e3d754d42978f2bb65ef0a9a93b04efb302a8d0fdca"


@pytest.mark.parametrize("secret", [None, b"secret"])
def test_content_never_has_the_key_of_a_text_that_spells_its_json(secret):
    keyer = Keyer(FACTS, secret=secret)
    wire = b'{"content":[{"type":"text","text":"a"}]}'
    assert keyer.key_of_content(wire) != keyer.key(wire)
    assert keyer.key_of_content(wire) == keyer.key_of_content(wire) != keyer.key_of_content(wire + b" ")
    assert len(keyer.key(wire)) == len(keyer.key_of_content(wire)) == 32


def test_every_fact_and_the_text_change_the_key():
    keys = {key(FACTS, b"text"), key(FACTS, b"text "), key(FACTS, b"text", b"s")}
    for place in range(len(FACTS)):
        for other in ("other", 7, b"other", "None", ""):
            keys.add(key((*FACTS[:place], other, *FACTS[place + 1 :]), b"text"))
    assert len(keys) == 3 + 5 * len(FACTS)


def test_borders_and_types_of_facts_change_the_key():
    facts = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("abc", None),
        ("1",),
        (1,),
        (b"1",),
        (True,),
        (False,),
        (),
        ("",),
    ]
    assert len({key(some, b"t") for some in facts}) == len(facts)
    assert key(("a",), b"bc") != key(("a", "b"), b"c")
    assert key(("\ud800",), b"t") != key(("\ud801",), b"t")


@pytest.mark.parametrize("secret", [None, b"secret"])
def test_a_keyer_makes_the_same_key_again(secret):
    keyer = Keyer(FACTS, secret=secret)
    assert [keyer.key(text) for text in (b"one", b"two", b"one")] == [
        key(FACTS, text, secret) for text in (b"one", b"two", b"one")
    ]
