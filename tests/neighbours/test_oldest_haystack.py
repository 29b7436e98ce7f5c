"""Pipelines that go from one Haystack to another: what either writes, the other reads, runs and writes alike."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import haystack
import pytest
from haystack import Document, Pipeline

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)

OLDEST = Path(os.environ["OPENROUTER_EMBEDDINGS_NEIGHBOURS"]) / "bin" / "python"
WRITTEN_AGAIN = """
import sys
import haystack
from haystack import Document, Pipeline

assert haystack.__version__ < "2.32", haystack.__version__
pipeline = Pipeline.loads(sys.stdin.read())
embedded = pipeline.run({"documents": {"documents": [Document(content="a text")]}, "text": {"text": "a question"}})
assert len(embedded["documents"]["documents"][0].embedding) == len(embedded["text"]["embedding"]) == 64
print(pipeline.dumps())
"""


def saved():
    pipeline = Pipeline()
    options = {"model": "qwen/qwen3-embedding-8b", "dimensions": 64, "provider": {"data_collection": "deny"}}
    pipeline.add_component("documents", OpenRouterDocumentEmbedder(**options, meta_fields_to_embed=["title"]))
    pipeline.add_component("text", OpenRouterTextEmbedder(**options))
    return pipeline


def test_a_file_goes_there_and_back(gateway):
    if not OLDEST.exists():
        pytest.skip("the oldest Haystack could not be installed")
    pipeline = saved()
    command = [str(OLDEST), "-c", WRITTEN_AGAIN]
    done = subprocess.run(command, input=pipeline.dumps(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    back = Pipeline.loads(done.stdout)
    for name in ("documents", "text"):
        assert back.get_component(name).to_dict() == pipeline.get_component(name).to_dict()
    embedded = back.run({"documents": {"documents": [Document(content="a text")]}, "text": {"text": "a question"}})
    assert len(embedded["documents"]["documents"][0].embedding) == 64
    assert haystack.__version__ >= "3"
