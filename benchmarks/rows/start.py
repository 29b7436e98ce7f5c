"""Row 8: importing and building."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median

from harness import Bench, clean_environment
from results_of import Row

_BUILD = (
    "import time; {imports}; began = time.process_time(); {build}; print((time.process_time() - began) * 1e3)"
)  # fmt: skip
_IMPORTS = {
    "bare interpreter": ("core", "pass"),
    "httpx + pydantic": ("core", "import httpx, pydantic"),
    "httpx + pydantic + numpy": ("core", "import httpx, pydantic, numpy"),
    "openrouter_embeddings": ("core", "import openrouter_embeddings"),
    "LangChain base class": ("langchain", "from langchain_core.embeddings import Embeddings"),
    "ours, LangChain": ("langchain", "import langchain_openrouter_embeddings"),
    "langchain_openai": ("langchain", "import langchain_openai"),
    "LlamaIndex base class": ("llama-index", "from llama_index.core.base.embeddings.base import BaseEmbedding"),
    "ours, LlamaIndex": ("llama-index", "import llama_index.embeddings.openrouter"),
    "LlamaIndex openai_like": ("llama-index", "import llama_index.embeddings.openai_like"),
    "Haystack base class": ("haystack", "from haystack import Document, component"),
    "ours, Haystack": ("haystack", "import haystack_integrations.components.embedders.openrouter_embeddings"),
    "Haystack OpenAI embedder": ("haystack", "from haystack.components.embedders import OpenAIDocumentEmbedder"),
    "openai": ("openai", "import openai"),
    "openrouter": ("openrouter", "from openrouter import OpenRouter"),
    "litellm": ("litellm", "import litellm"),
    "pydantic-ai": ("pydantic-ai", "from pydantic_ai import Embedder"),
}
_ASK = "from openrouter_embeddings import Client; Client('m', api_key='k', base_url={url!r}).embed_query('0000003 x')"
_ASK_OPENAI = (
    "import openai; openai.OpenAI(api_key='k', base_url={url!r}).embeddings.create(model='m', input='0000003 x')"
)
_ASK_HTTPX = (
    "import httpx, pydantic, numpy; from floors import Httpx; Httpx({url!r}).query('0000003 x')"
)  # fmt: skip


def starting(bench: Bench) -> Row:
    """CPU of importing, building and the first answer, each in a new process."""
    row = Row(8, "Starting: CPU of an import, of a client, of the first answer", {"ms": "ms CPU"})
    server = bench.server()
    server.control()
    codes = dict(_IMPORTS)
    codes["first answer: by hand"] = ("core", _ASK_HTTPX.format(url=server.url))
    codes["first answer: ours"] = ("core", _ASK.format(url=server.url))
    codes["first answer: openai"] = ("openai", _ASK_OPENAI.format(url=server.url))
    spent: dict[str, list[float]] = {}
    for turn in range(4 if bench.quick else 10):
        for label, (env, code) in codes.items():
            if env in bench.pythons and (cost := _cpu_of(bench.pythons[env], code)) is not None and turn:
                spent.setdefault(label, []).append(cost)
    row.measured = {label: {"ms": median(costs)} for label, costs in spent.items()}
    core = bench.pythons["core"]
    for label, imports, build in (
        ("build: one TLS context", "import httpx", "httpx.create_ssl_context()"),
        ("build: Client", "import openrouter_embeddings as o", "o.Client('m', api_key='k')"),
        ("build: AsyncClient", "import openrouter_embeddings as o", "o.AsyncClient('m', api_key='k')"),
    ):
        costs = [float(_output(core, _BUILD.format(imports=imports, build=build))) for _ in range(5)]
        row.measured[label] = {"ms": median(costs)}
    row.ratio("openrouter_embeddings", "httpx + pydantic", 1.3, key="ms")
    for name in ("LangChain", "LlamaIndex", "Haystack"):
        row.ratio(f"ours, {name}", f"{name} base class", 1.25, key="ms")
    tls = row.get("build: one TLS context", "ms")
    for label in ("build: Client", "build: AsyncClient"):
        built = row.get(label, "ms")
        value = None if built is None or tls is None else built - tls
        row.claim(f"{label}: above the one TLS context", value, 5, unit="ms")
    row.notes.append(
        "Imports that are put off are paid by the first answer: it is shown from interpreter start to end."
    )
    return row


def _environment() -> dict[str, str]:
    subjects = str(Path(__file__).parent.parent / "subjects")
    return clean_environment() | {"PYTHONPATH": subjects}


def _cpu_of(python: Path, code: str) -> float | None:
    """Return the CPU milliseconds of a new process that runs this code, or None if it fails."""
    process = subprocess.Popen([str(python), "-c", code], env=_environment(), stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return None if process.returncode else (used.ru_utime + used.ru_stime) * 1e3


def _output(python: Path, code: str) -> str:
    done = subprocess.run([str(python), "-c", code], env=_environment(), capture_output=True, text=True, check=True)
    return done.stdout
