"""How often a check says what is not so: many gateways of which the truth is known, each checked by the real flows.

Run it with `-s` to see the tables. OPENROUTER_EMBEDDINGS_FUZZ_CHECKS says how many gateways there are.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from openrouter_embeddings.checks import OK, UNKNOWN, Finding

from .worlds import BY_PREFIX, BY_VALUE, World, consistency_checked, model_checked

pytestmark = pytest.mark.usefixtures("unmeasured")

WORLDS = int(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_CHECKS", "200"))
WRONG_AT_MOST = 1 / 200
UNTOLD_AT_MOST = 1 / 50
"""Where a pin is kept and named, and the noise is at most 1e-4."""


def world(seed: int) -> World:
    chance = random.Random(f"world {seed}")
    return World(
        seed,
        providers=chance.choice([1, 2, 2, 3, 4]),
        cosine=chance.choice([1.0, 0.9999, 0.999, 0.995, 0.97]),
        noise=chance.choice([0.0, 1e-6, 1e-4, 1e-3]),
        effect=chance.choice([0.99, 0.95, 0.90]),
        heeds=chance.choice([("query", "document"), (), (), ("query",)]),
        pins=chance.choice(["kept", "kept", "ignored", "refused"]),
        sticky=chance.random() < 0.3,
        named=chance.random() < 0.7,
        listed=chance.random() < 0.8,
        scales=chance.choice([(1.0, 1.0, 1.0, 1.0), (1.0, 14.0, 0.2, 1.0)]),
        batch=chance.choice(["right", "right", "right", "turned", "other"]),
        cut=chance.random() < 0.7,
    )


@dataclass(frozen=True)
class Verdict:
    """What a check said, and what is so.

    Attributes:
        of: What was looked at.
        holds: Whether it is as it should be.
        said: The verdict.
        is_ok: Whether that says it is as it should be.
        tellable: Whether it should be told.
    """

    of: str
    holds: bool
    said: str
    is_ok: bool
    tellable: bool

    @property
    def wrong(self) -> bool:
        return self.said != UNKNOWN and self.is_ok != self.holds


def on_model(gateway: World, model: str) -> Iterator[Verdict]:
    """Check a model, and hold the verdicts on what noise can hide against the truth."""
    check = model_checked(gateway, model)
    heeds_query = "query" in gateway.heeds
    truths = {
        "input_type": len(gateway.heeds) == 2 if model == BY_VALUE else not heeds_query,
        "query marking": heeds_query,
        "document marking": "document" in gateway.heeds,
        "deterministic": gateway.noise < 1e-5,
        "batch equals single": gateway.batch == "right",
        "dimensions are a cut": gateway.cut,
        "normalised": all(gateway.scales[provider] == 1.0 for provider in gateway.served),
    }
    for name, holds in truths.items():
        finding: Finding = check[name]
        told = gateway.quiet_and_pinned()
        if name == "normalised" and model == BY_VALUE:
            told = told and holds  # the profile does not say: a length that is not 1 is no finding
        if name.endswith("marking") and model == BY_PREFIX:
            told = told and gateway.batch != "turned"  # then a text and its marked form cannot share a request
        yield Verdict(name, holds, finding.verdict, finding.verdict == OK, told)


def on_consistency(gateway: World) -> Verdict:
    """Check a model's providers, and hold the verdict against the truth."""
    check = consistency_checked(gateway)
    alike = gateway.cosine >= 0.999 and len(set(gateway.scales[: gateway.providers])) == 1
    told = gateway.quiet_and_pinned() and gateway.cosine != 0.999  # which is the threshold itself
    return Verdict("providers", gateway.providers == 1 or alike, check.verdict, check.verdict == "agree", told)


def table(title: str, verdicts: list[Verdict]) -> str:
    """Return how often each verdict was given, by the truth."""
    counts = Counter((verdict.of, verdict.holds, verdict.said) for verdict in verdicts)
    said = sorted({verdict.said for verdict in verdicts})
    lines = ["", title, f"{'':22}{'is so':8}" + "".join(f"{word:>25}" for word in said)]
    for of, holds in dict.fromkeys((verdict.of, holds) for verdict in verdicts for holds in (True, False)):
        lines.append(f"{of:22}{'yes' if holds else 'no':8}" + "".join(f"{counts[of, holds, word]:25}" for word in said))
    tellable = [verdict for verdict in verdicts if verdict.tellable]
    untold = sum(verdict.said == UNKNOWN for verdict in tellable)
    wrong = sum(verdict.wrong for verdict in verdicts)
    lines.append(f"wrong: {wrong} of {len(verdicts)}; pinned and quiet, yet unknown: {untold} of {len(tellable)}")
    return "\n".join(lines)


def judge(title: str, verdicts: list[Verdict]) -> None:
    print(table(title, verdicts))
    for of in dict.fromkeys(verdict.of for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.of == of]
        assert sum(verdict.wrong for verdict in own) <= WRONG_AT_MOST * len(own), of
    tellable = [verdict for verdict in verdicts if verdict.tellable]
    assert sum(verdict.said == UNKNOWN for verdict in tellable) <= UNTOLD_AT_MOST * len(tellable)


@pytest.mark.parametrize("model", [BY_VALUE, BY_PREFIX])
def test_a_model_check_is_hardly_ever_wrong(model):
    first = 0 if model == BY_VALUE else WORLDS
    gateways = [world(seed) for seed in range(first, first + WORLDS // 2)]
    judge(
        f"check_model of {model}, {len(gateways)} gateways",
        [verdict for gateway in gateways for verdict in on_model(gateway, model)],
    )


def test_a_consistency_check_is_hardly_ever_wrong():
    gateways = [gateway for seed in range(3 * WORLDS) if (gateway := world(seed)).listed]
    judge(f"check_consistency, {len(gateways)} gateways", list(map(on_consistency, gateways)))


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize(("cosine", "heeds"), [(0.995, ()), (0.97, ("query", "document"))], ids=["ignored", "honoured"])
def test_providers_that_take_turns_are_not_taken_for_a_mark(cosine, heeds, named):
    verdicts = []
    for seed in range(WORLDS):
        gateway = World(
            seed, providers=2, cosine=cosine, effect=0.9, heeds=heeds, named=named, listed=False, shares=(1.0, 1.0)
        )
        verdicts += [verdict for verdict in on_model(gateway, BY_VALUE) if verdict.of == "input_type"]
    judge(f"two providers at {cosine}, {'named' if named else 'unnamed'}, nobody pinned", verdicts)


@pytest.mark.parametrize("model", [BY_VALUE, BY_PREFIX])
def test_providers_in_strict_turn_are_taken_for_nothing_else(model):
    verdicts = []
    for providers, cosine, heeds, named, listed in product(
        (2, 3, 4), (0.995, 0.97), ((), ("query",), ("query", "document")), (True, False), (True, False)
    ):
        gateway = World(1, providers, cosine, 0.0, 0.9, heeds, "ignored", in_turn=True, named=named, listed=listed)
        verdicts += on_model(gateway, model)
    judge(f"{model}, providers in turn, no pin kept", verdicts)


def test_another_model_behind_one_provider_is_always_found():
    verdicts = []
    for seed in range(WORLDS):
        chance = random.Random(seed)
        gateway = World(
            seed,
            chance.choice([2, 3, 4]),
            cosine=chance.choice([0.0, 0.5, 0.8]),
            noise=chance.choice([0.0, 1e-4, 1e-3, 1e-2]),
            named=chance.random() < 0.5,
        )
        verdicts.append(replace(on_consistency(gateway), tellable=True))
    judge(f"check_consistency, another model behind one provider, {WORLDS} gateways", verdicts)
    assert {verdict.said for verdict in verdicts} == {"disagree"}
