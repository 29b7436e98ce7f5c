"""Makes the environments of the clients with uv, and keeps them: a second run starts at once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from catalogue import ENVIRONMENTS, Environment

ROOT = Path(__file__).parent.parent


def python_of(folder: Path) -> Path:
    """Return an environment's interpreter."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_all(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the interpreter of each environment, and for each whose peer is absent the reason."""
    pythons, absent = {}, {}
    for name, wanted in ENVIRONMENTS.items():
        problem = _make(folder / name, wanted)
        if problem and not wanted.ours:
            absent[name] = problem
            continue
        pythons[name] = python_of(folder / name)
        if problem:
            absent[name] = problem
    return pythons, absent


def _make(folder: Path, wanted: Environment) -> str:
    """Make one environment unless it is there already; return why its peer could not be installed, or nothing."""
    texts = [ROOT / "constraints.txt", *(ROOT / "packages" / one / "pyproject.toml" for one in wanted.ours)]
    pins = "".join(one.read_text(encoding="utf-8") for one in texts)
    stamp, recipe = folder / "recipe", hashlib.sha256(f"{wanted}{pins}{sys.version}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == recipe:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--python", sys.executable, str(folder))
    if wanted.ours:
        parts = [part for one in wanted.ours for part in ("-e", str(ROOT / "packages" / one))]
        said = _uv("pip", "install", "--python", str(python_of(folder)), *parts, "-c", str(ROOT / "constraints.txt"))
        if said:
            raise SystemExit(f"Our own packages could not be installed:\n{said}")
    problem = _uv("pip", "install", "--python", str(python_of(folder)), *wanted.peer)
    if not problem:
        stamp.write_text(recipe)
    return problem


def _uv(*arguments: str) -> str:
    """Run uv; return the last lines of what it said if it failed, else nothing."""
    uv = shutil.which("uv") or "uv"
    done = subprocess.run([uv, *arguments, "--quiet"], capture_output=True, text=True, check=False)
    return "\n".join((done.stderr or "failed").strip().splitlines()[-4:]) if done.returncode else ""


def versions(python: Path) -> dict[str, str]:
    """Return the versions in an environment of what matters for a result."""
    code = (
        "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower(): d.version for d in"
        " m.distributions()}))"
    )
    found = json.loads(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout)
    named = ("httpx", "pydantic", "numpy", "openai", "openrouter", "langchain-core", "langchain-openai", "haystack-ai")
    named += ("llama-index-core", "llama-index-embeddings-openai-like", "litellm", "pydantic-ai-slim", "pybase64")
    return {name: found[name] for name in named if name in found}
