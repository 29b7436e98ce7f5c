"""The soak in small, and that it would tell."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


def test_some_calls_through_trouble():
    done = subprocess.run([sys.executable, str(SOAK), "--calls", "1100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "since the warm-up" in done.stdout


def test_a_sound_run_is_not_complained_of(soak):
    still = soak.Reading(descriptors=9, megabytes=75.0, threads=1)
    tally = soak.Tally(right=90, refused=Counter(ServerError=10))
    assert soak.complaints(tally, still, soak.Reading(11, 84.9, 1), places=0) == []


@pytest.mark.parametrize(
    ("tally", "last", "places", "says"),
    [
        ({"wrong": 1}, (9, 75.0, 1), 0, "1 wrong answers"),
        ({"foreign": Counter(["KeyError()"])}, (9, 75.0, 1), 0, "KeyError"),
        ({}, (12, 75.0, 1), 0, "descriptors"),
        ({}, (9, 85.1, 1), 0, "memory"),
        ({}, (9, 75.0, 2), 0, "threads"),
        ({}, (9, 75.0, 1), 1, "places"),
    ],
    ids=["wrong", "foreign", "descriptors", "memory", "threads", "places"],
)
def test_what_the_soak_complains_of(soak, tally, last, places, says):
    (found,) = soak.complaints(soak.Tally(**tally), soak.Reading(9, 75.0, 1), soak.Reading(*last), places=places)
    assert says in found
