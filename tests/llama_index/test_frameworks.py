"""LlamaIndex's own callers: index, retriever, pipeline, worker processes."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from pathlib import Path
from textwrap import dedent

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import TextNode

from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import InsufficientCreditsError

TOPICS = {
    "baking": "To bake bread, knead flour, water and yeast, and put the dough in a hot oven.",
    "sailing": "The sailor trims the mainsail and steers the boat against the wind.",
    "databases": "A database index makes looking up rows in a table fast.",
    "gardening": "Water the tomato plants in the garden every evening in summer.",
}
QUESTION = TOPICS["baking"]  # found by its own words: how well the gateway's model understands is not asked here
SATURN = "The astronomer turns the telescope to Saturn."
VIOLIN = "A violin has four strings."


def documents() -> list[Document]:
    return [Document(text=text, id_=name) for name, text in TOPICS.items()]


def nodes(count: int = 40) -> list[TextNode]:
    return [TextNode(text=f"node number {number}") for number in range(count)]


@pytest.mark.parametrize("use_async", [False, True])
def test_an_index_finds_the_right_document(make, use_async):
    index = VectorStoreIndex.from_documents(documents(), embed_model=make(), use_async=use_async)
    retriever = index.as_retriever(similarity_top_k=2)
    assert retriever.retrieve(QUESTION)[0].node.ref_doc_id == "baking"
    for _ in range(2):
        assert asyncio.run(retriever.aretrieve(QUESTION))[0].node.ref_doc_id == "baking"


async def build_and_search(embedder: OpenRouterEmbedding, *, use_async: bool) -> None:
    index = VectorStoreIndex.from_documents(documents(), embed_model=embedder, use_async=use_async)
    index.insert_nodes([TextNode(text=SATURN, id_="late")])
    await index.ainsert_nodes([TextNode(text=VIOLIN, id_="later")])
    retriever = index.as_retriever(similarity_top_k=1)
    assert retriever.retrieve(SATURN)[0].node.node_id == "late"
    assert (await retriever.aretrieve(VIOLIN))[0].node.node_id == "later"


@pytest.mark.parametrize("use_async", [False, True])
async def test_an_index_is_built_inside_a_running_loop(make, use_async):
    await build_and_search(make(), use_async=use_async)
    # LlamaIndex ran a loop in a thread and closed it without ending what lived on it: its socket ends here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_a_pipeline_embeds_every_node_with_its_own_text(make):
    embedder = make()
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), embedder])
    for _ in range(2):
        done = pipeline.run(documents=documents())
        assert [one.embedding for one in done] == embedder.get_text_embedding_batch([one.text for one in done])
    for _ in range(2):
        again = asyncio.run(pipeline.arun(documents=documents()))
        assert [one.embedding for one in again] == [one.embedding for one in done]


async def test_a_pipeline_runs_inside_a_running_loop(make):
    pipeline = IngestionPipeline(transformations=[make()], disable_cache=True)
    sync = pipeline.run(nodes=nodes())
    assert [one.embedding for one in await pipeline.arun(nodes=nodes())] == [one.embedding for one in sync]


def test_a_second_run_is_answered_by_the_pipeline_cache(make, embeddings_gateway):
    same = nodes()
    pipeline = IngestionPipeline(transformations=[make()])
    pipeline.run(nodes=same)
    sent = len(embeddings_gateway.embedding_requests())
    pipeline.transformations = [make(timeout=5.0, max_concurrency=2, embed_batch_size=3, api_key="another")]
    pipeline.run(nodes=same)
    assert len(embeddings_gateway.embedding_requests()) == sent


def test_an_empty_node_becomes_zeros_and_stops_nobody(make):
    """`insert_nodes` and pipelines hand over what `from_documents` leaves out."""
    given = [TextNode(text="Copy a directory tree."), TextNode(text="")]
    done = IngestionPipeline(transformations=[make(on_empty="zero")], disable_cache=True).run(nodes=given)
    assert [any(one.embedding) for one in done] == [True, False]


@pytest.mark.parametrize("job", ["run", "arun"])
def test_a_cache_filled_at_an_address_of_the_environment_is_not_used_at_another(
    make, embeddings_gateway, monkeypatch, job
):
    """A local gateway gives other numbers than the service: what it has answered must not be taken for that."""
    same = nodes(3)
    pipeline = IngestionPipeline(transformations=[make(base_url=None, gateway="openrouter")])

    def run():
        return pipeline.run(nodes=same) if job == "run" else asyncio.run(pipeline.arun(nodes=same))

    local = embeddings_gateway.base_url
    monkeypatch.setenv("OPENROUTER_API_BASE", local)
    run()
    run()
    assert embeddings_gateway.paid_inputs() == 3
    monkeypatch.setenv("OPENROUTER_API_BASE", local.replace("127.0.0.1", "localhost"))
    pipeline.transformations = [make(base_url=None)]
    run()
    assert embeddings_gateway.paid_inputs() == 6


@pytest.mark.parametrize("landed", range(8))
@pytest.mark.parametrize("job", ["run", "arun", "index", "async index"])
def test_a_job_that_starts_again_pays_the_rest(make, embeddings_gateway, tmp_path, job, landed):
    given = [TextNode(text=f"sentence number {number}", id_=str(number)) for number in range(40)]

    def start():
        cache = str(tmp_path / "embeddings.sqlite")
        embedder = make(batch_size=5, max_concurrency=1, cache=cache)
        if job.endswith("index"):
            index = VectorStoreIndex(given, embed_model=embedder, use_async=job.startswith("async"))
            return len(index.vector_store.data.embedding_dict)
        pipeline = IngestionPipeline(transformations=[embedder], disable_cache=True)
        done = pipeline.run(nodes=given) if job == "run" else asyncio.run(pipeline.arun(nodes=given))
        return sum(one.embedding is not None for one in done)

    embeddings_gateway.trouble("status", status=402, after=landed, times=None)
    with pytest.raises(InsufficientCreditsError):
        start()
    assert embeddings_gateway.paid_inputs() == 5 * landed
    embeddings_gateway.reset()
    assert start() == 40
    assert embeddings_gateway.paid_inputs() == 40 - 5 * landed


WORKERS = """
    import asyncio, os, sys
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.schema import TextNode
    from llama_index.embeddings.openrouter import OpenRouterEmbedding

    def main(mode, base_url):
        embedder = OpenRouterEmbedding(
            "openai/text-embedding-3-small", dimensions=64, api_key="literal", base_url=base_url
        )
        nodes = [TextNode(text=f"node number {number}") for number in range(40)]
        wanted = embedder.get_text_embedding_batch([node.text for node in nodes])
        pipeline = IngestionPipeline(transformations=[embedder], disable_cache=True)
        if mode == "run":
            for _ in range(2):
                done = pipeline.run(nodes=nodes, num_workers=2)
                assert [one.embedding for one in done] == wanted
        elif mode == "arun":
            for _ in range(2):
                done = asyncio.run(pipeline.arun(nodes=nodes, num_workers=2))
                assert [one.embedding for one in done] == wanted
        else:
            child = os.fork()
            if child == 0:
                right = embedder.get_text_embedding(nodes[3].text) == wanted[3]
                right &= asyncio.run(embedder.aget_text_embedding(nodes[4].text)) == wanted[4]
                os._exit(0 if right else 1)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            assert embedder.get_text_embedding(nodes[5].text) == wanted[5]
        print("all right")

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["run", "arun", "fork"])
def test_worker_processes_embed_as_their_parent_does(embeddings_gateway, tmp_path: Path, mode):
    script = tmp_path / "workers.py"
    script.write_text(dedent(WORKERS))
    done = subprocess.run(
        [sys.executable, str(script), mode, embeddings_gateway.base_url],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all right\n")
    assert {one.status for one in embeddings_gateway.embedding_requests()} == {200}
