"""The wheels as a user gets them: what is in them, and that they live beside their neighbours.

These build and install for real, so they need a package index, which the installer finds by its own configuration.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).parents[2]
LEAVES = {
    "openrouter_embeddings": "openrouter_embeddings",
    "langchain_openrouter_embeddings": "langchain_openrouter_embeddings",
    "llama_index_embeddings_openrouter": "llama_index/embeddings/openrouter",
    "openrouter_embeddings_haystack": "haystack_integrations/components/embedders/openrouter_embeddings",
    "openrouter_embeddings_engines": "openrouter_embeddings_engines",
    "openrouter_embeddings_gateway": "openrouter_embeddings_gateway",
}
NEIGHBOURS = ["langchain-openrouter", "openrouter-haystack", "llama-index-embeddings-openai"]
IMPORT_ALL = """
import langchain_openrouter, llama_index.core, llama_index.embeddings.openai
from haystack_integrations.components.generators.openrouter import OpenRouterChatGenerator

import openrouter_embeddings, openrouter_embeddings_engines, openrouter_embeddings_gateway
from langchain_openrouter_embeddings import OpenRouterEmbeddings
from llama_index.embeddings.openrouter import OpenRouterEmbedding
from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder, OpenRouterTextEmbedder,
)
print(openrouter_embeddings.__file__)
"""


def uv(*arguments: object) -> str:
    """Run uv as a user would, outside this workspace, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [find_uv_bin(), *map(str, arguments)],
        cwd=ROOT.anchor,
        env=clean | {"UV_NO_PROGRESS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_of(environment: Path) -> Path:
    """Return an environment's interpreter."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def python(environment: Path, code: str) -> str:
    """Run code in an environment, from a folder that holds none of our sources."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [python_of(environment), "-I", "-c", code],
        cwd=environment,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every wheel of the workspace, freshly built, by distribution."""
    out = tmp_path_factory.mktemp("dist")
    for project in sorted(ROOT.glob("packages/*/pyproject.toml")):
        uv("build", "--wheel", "--quiet", "--out-dir", out, project.parent)
    found = {path.name.split("-")[0]: path for path in out.glob("*.whl")}
    assert set(found) == set(LEAVES)
    return found


@pytest.fixture(scope="module")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pins, without the one that a neighbour contradicts: langchain-openrouter holds the openrouter SDK below 1."""
    path = tmp_path_factory.mktemp("pins") / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("openrouter==")) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A fresh virtual environment with nothing in it."""
    path = tmp_path / "env"
    uv("venv", "--quiet", "--python", sys.executable, path)
    return path


def test_a_wheel_holds_its_leaf_and_nothing_else(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            files = [entry for entry in archive.namelist() if not entry.endswith("/")]
        code = [file for file in files if ".dist-info/" not in file]
        strangers = [file for file in code if not file.startswith(LEAVES[name] + "/")]
        assert not strangers, f"{name}: {strangers}"
        assert f"{LEAVES[name]}/__init__.py" in code
        assert f"{LEAVES[name]}/py.typed" in code
        assert not [file for file in files if "__pycache__" in file or file.rpartition("/")[2].startswith("test_")]
        assert [file for file in files if file.endswith("/licenses/LICENSE")], f"{name} carries no licence"


def test_the_wheels_agree_on_one_version(wheels: dict[str, Path]) -> None:
    metadata = {}
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            inside = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
            metadata[name] = Parser().parsestr(archive.read(inside).decode())
    versions = {message["Version"] for message in metadata.values()}
    assert len(versions) == 1
    version = versions.pop()
    wanted = metadata["openrouter_embeddings"].get_all("Requires-Dist", [])
    assert f"langchain-openrouter-embeddings=={version}; extra == 'langchain'" in wanted
    assert f"llama-index-embeddings-openrouter=={version}; extra == 'llama-index'" in wanted
    assert f"openrouter-embeddings-haystack=={version}; extra == 'haystack'" in wanted
    assert f"openrouter-embeddings-gateway[model]=={version}; extra == 'gateway'" in wanted
    for engine in ("ray", "daft", "spark", "dask"):
        assert f"openrouter-embeddings-engines[{engine}]=={version}; extra == '{engine}'" in wanted


def test_all_wheels_install_beside_their_neighbours(
    wheels: dict[str, Path], constraints: Path, environment: Path
) -> None:
    uv("pip", "install", "--quiet", "-p", python_of(environment), "-c", constraints, *wheels.values(), *NEIGHBOURS)
    assert str(environment) in python(environment, IMPORT_ALL)


def test_an_extra_brings_its_adapter(wheels: dict[str, Path], constraints: Path, environment: Path) -> None:
    core = wheels["openrouter_embeddings"]
    uv(
        "pip", "install", "--quiet", "-p", python_of(environment), "-c", constraints,
        "--find-links", core.parent, f"openrouter-embeddings[langchain] @ {core.as_uri()}",
    )  # fmt: skip
    python(
        environment,
        "from langchain_openrouter_embeddings import OpenRouterEmbeddings as E; E(model='openai/text-embedding-3-small')",
    )
    python(
        environment, "import importlib.util as u; assert not u.find_spec('haystack') and not u.find_spec('llama_index')"
    )


def test_the_bare_core_needs_no_framework(wheels: dict[str, Path], constraints: Path, environment: Path) -> None:
    uv("pip", "install", "--quiet", "-p", python_of(environment), "-c", constraints, wheels["openrouter_embeddings"])
    python(environment, "import openrouter_embeddings as o; [getattr(o, name) for name in o.__all__]")


def test_pip_itself_follows_the_extra(wheels: dict[str, Path], constraints: Path, environment: Path) -> None:
    """``pip install "<wheel>[langchain]"``, by pip and not by uv: resolved, not installed twice over."""
    uv("pip", "install", "--quiet", "-p", python_of(environment), "pip")
    core = wheels["openrouter_embeddings"]
    done = subprocess.run(
        [
            python_of(environment), "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", "-c", constraints,
            "--find-links", core.parent, f"{core}[langchain]",
        ],
        cwd=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"langchain-openrouter-embeddings"' in done.stdout
