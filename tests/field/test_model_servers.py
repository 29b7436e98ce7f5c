"""Against infinity-emb with a small random model, and against a LiteLLM proxy in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from ..support.daemons import Daemon, free_port
from .calls import COLOURS, COUNT, TEXTS, embed
from .servers import installed, run

# Of a random model no profile can be known.
pytestmark = pytest.mark.filterwarnings("ignore:No profile is known")

MODEL = "small/random"
BATCH = 50
SECONDS_TO_START = 120.0
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def environment():
    """Neither pytest's paths nor a proxy are for servers."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | OFFLINE


@pytest.fixture(scope="module")
def infinity(tmp_path_factory):
    """The port of an infinity that serves a small random model."""
    program, folder, port = installed("infinity", "infinity_emb"), tmp_path_factory.mktemp("infinity"), free_port()
    maker = Path(__file__).with_name("random_model.py")
    subprocess.run([str(program.with_name("python")), str(maker), str(folder / "model")], check=True, env=environment())
    command = [
        str(program),
        "v2",
        "--model-id",
        str(folder / "model"),
        "--served-model-name",
        MODEL,
        "--port",
        str(port),
    ]
    command += ["--host", "127.0.0.1", "--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
    log = folder / "log"
    with run(Daemon(command, port, log=log, environment=environment(), seconds=SECONDS_TO_START)):
        yield port


@pytest.fixture(scope="module")
def litellm(infinity, tmp_path_factory):
    """The port of a LiteLLM proxy that calls the model of infinity `alias`."""
    program, folder, port = installed("litellm", "litellm"), tmp_path_factory.mktemp("litellm"), free_port()
    behind = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{infinity}", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "alias", "litellm_params": behind}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": "sk-field-key"},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))  # YAML takes JSON
    command = [str(program), "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with run(Daemon(command, port, log=log, environment=environment(), seconds=SECONDS_TO_START)):
        yield port


@pytest.fixture(scope="module")
def own(infinity):
    """The embedding of each text, straight from infinity, asked by hand."""
    rows = []
    for first in range(0, COUNT, BATCH):
        body = json.dumps({"model": MODEL, "input": TEXTS[first : first + BATCH]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{infinity}/embeddings", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            data = json.load(answer)["data"]
        rows += [item["embedding"] for item in sorted(data, key=lambda item: item["index"])]
    return np.array(rows, np.float32)


def assert_own(result, own):
    """Check that each text has its own embedding: the right one, and nearer to it than to any other text's."""
    assert np.allclose(result.embeddings, own, atol=1e-4)
    assert np.array_equal((result.embeddings @ own.T).argmax(1), np.arange(COUNT))
    assert (result.usage.retries, result.usage.requests) == (0, COUNT // BATCH)  # so each input was paid once


@pytest.mark.parametrize("colour", COLOURS)
def test_infinity_gives_each_text_its_own_embedding(infinity, own, colour):
    url = f"http://127.0.0.1:{infinity}"
    result = embed(colour, url, model=MODEL, gateway="openai-compatible", dimensions=None, batch_size=BATCH)
    assert_own(result, own)


@pytest.mark.parametrize("colour", COLOURS)
def test_litellm_before_infinity_gives_each_text_its_own_embedding(litellm, own, colour):
    url = f"http://127.0.0.1:{litellm}/v1"
    result = embed(colour, url, model="alias", gateway="openai-compatible", dimensions=None, batch_size=BATCH)
    assert_own(result, own)
