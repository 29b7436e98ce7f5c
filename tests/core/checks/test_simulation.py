"""How often a check says what is not so: many gateways of which the truth is known, each checked by the real flows.

Run it with `-s` to see the tables. OPENROUTER_EMBEDDINGS_FUZZ_CHECKS says how many gateways there are.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace

import pytest

from openrouter_embeddings.checks import DIFFERS, OK, UNKNOWN

from .worlds import BY_PREFIX, BY_VALUE, World, consistency_checked, model_checked

WORLDS = int(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_CHECKS", "300"))


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


def truths(gateway: World, model: str) -> dict[str, bool]:
    """Return of what `check_model` looks at whether it is as the profile says."""
    both, some = len(gateway.heeds) == 2, bool(gateway.heeds)
    return {
        "input_type": both if model == BY_VALUE else "query" not in gateway.heeds,
        "query marking": "query" in gateway.heeds,
        "document marking": "document" in gateway.heeds,
        "deterministic": gateway.noise < 1e-5,
        "batch equals single": gateway.batch == "right",
        "dimensions are a cut": gateway.cut,
        "normalised": all(gateway.scales[provider] == 1.0 for provider in gateway.served),
    }
