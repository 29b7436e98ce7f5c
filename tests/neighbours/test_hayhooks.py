"""Pipelines that hayhooks serves: from a file of YAML, and from wrappers in both colours, asked by many at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from haystack import Pipeline

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterTextEmbedder

from ..support.daemons import Daemon, free_port

WRAPPER = """
from pathlib import Path

from hayhooks import BasePipelineWrapper
from haystack import Pipeline


class PipelineWrapper(BasePipelineWrapper):
    def setup(self):
        self.pipeline = Pipeline.loads((Path(__file__).parent / "pipeline.yml").read_text())

    def run_api(self, text: str) -> list[float]:
        return self.pipeline.run({"embedder": {"text": text}})["embedder"]["embedding"]
"""
ASYNC = WRAPPER.replace("def run_api(", "async def run_api_async(").replace(
    "self.pipeline.run(", "(await self.pipeline.run_async("
)
ASYNC = ASYNC.replace('{"text": text}})', '{"text": text}}))')
TEXTS = [f"question number {number}" for number in range(24)]


@pytest.fixture
def served(gateway, tmp_path):
    """The address of a server with three pipelines, each of the one embedder, and that embedder."""
    embedder, pipeline = OpenRouterTextEmbedder(model="qwen/qwen3-embedding-8b", dimensions=64), Pipeline()
    pipeline.add_component("embedder", embedder)
    pipelines, port = tmp_path / "pipelines", free_port()
    for name, wrapper in {"threads": WRAPPER, "loop": ASYNC}.items():
        (pipelines / name).mkdir(parents=True)
        (pipelines / name / "pipeline_wrapper.py").write_text(wrapper)
        (pipelines / name / "pipeline.yml").write_text(pipeline.dumps())
    named = {"inputs": {"text": "embedder.text"}, "outputs": {"embedding": "embedder.embedding"}}
    (pipelines / "plain.yml").write_text(yaml.safe_dump(yaml.safe_load(pipeline.dumps()) | named))
    command = [str(Path(sys.executable).with_name("hayhooks")), "run", "--pipelines-dir", str(pipelines)]
    log = tmp_path / "log"
    server = Daemon([*command, "--host", "127.0.0.1", "--port", str(port)], port, log=log, seconds=60)
    yield f"http://127.0.0.1:{port}", embedder
    server.stop()
    assert "sk-or-canary" not in log.read_text()


@pytest.mark.parametrize("name", ["plain", "threads", "loop"])
def test_each_question_gets_its_own_embedding(served, name):
    address, embedder = served
    right = embedder.client.embed(TEXTS, input_type="query").tolist()

    def asked(text):
        answer = httpx.post(f"{address}/{name}/run", json={"text": text}, trust_env=False, timeout=60)
        found = answer.raise_for_status().json()["result"]
        return found["embedder"]["embedding"] if isinstance(found, dict) else found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(asked, TEXTS)) == right
