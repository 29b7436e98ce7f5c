"""One version, one licence, one set of Pythons; the extras name the adapters at that version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ["core", "langchain", "llama-index", "haystack", "engines", "gateway"]


def project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "packages" / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


VERSION = project("core")["version"]


def test_every_package_of_the_workspace_is_listed_here() -> None:
    assert {path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_package_says_who_it_is(folder: str) -> None:
    metadata, core = project(folder), project("core")
    assert metadata["version"] == VERSION
    for same in ("requires-python", "license", "authors", "urls"):
        assert metadata[same] == core[same], same
    pythons = [line for line in metadata["classifiers"] if line.startswith("Programming Language :: Python :: 3.")]
    assert [line.rpartition(" ")[2] for line in pythons] == ["3.11", "3.12", "3.13"]
    assert (ROOT / "packages" / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert len((ROOT / "packages" / folder / "README.md").read_text(encoding="utf-8").splitlines()) > 5


@pytest.mark.parametrize("folder", FOLDERS[1:])
def test_a_package_wants_the_core_of_its_own_version(folder: str) -> None:
    assert f"openrouter-embeddings=={VERSION}" in project(folder)["dependencies"]


def test_the_extras_name_the_packages_at_the_same_version() -> None:
    extras = project("core")["optional-dependencies"]
    assert extras["langchain"] == [f"langchain-openrouter-embeddings=={VERSION}"]
    assert extras["llama-index"] == [f"llama-index-embeddings-openrouter=={VERSION}"]
    assert extras["haystack"] == [f"openrouter-embeddings-haystack=={VERSION}"]
    assert extras["gateway"] == [f"openrouter-embeddings-gateway[model]=={VERSION}"]
    for engine in ("ray", "daft", "spark", "dask"):
        assert extras[engine] == [f"openrouter-embeddings-engines[{engine}]=={VERSION}"]
        assert project("engines")["optional-dependencies"][engine]
    assert sorted(extras["all"]) == sorted(
        line for name in ("langchain", "llama-index", "haystack", "gateway") for line in extras[name]
    )


def test_llama_hub_finds_both_classes() -> None:
    """Its index is made of this table."""
    whole = tomllib.loads((ROOT / "packages/llama-index/pyproject.toml").read_text(encoding="utf-8"))
    hub = whole["tool"]["llamahub"]
    source = (ROOT / "packages/llama-index/src" / hub["import_path"].replace(".", "/") / "__init__.py").read_text()
    assert hub["class_authors"].keys() == set(re.findall(r"\bOpenRouter\w+", source))


def test_the_command_line_is_an_extra() -> None:
    core = project("core")
    assert {line.split(">")[0] for line in core["optional-dependencies"]["cli"]} == {"typer", "rich", "pyarrow"}
    assert core["scripts"] == {"openrouter-embeddings": "openrouter_embeddings.cli:main"}


def test_telemetry_is_an_extra() -> None:
    assert project("core")["optional-dependencies"]["otel"] == ["opentelemetry-api>=1.30"]


def test_the_core_is_light() -> None:
    names = {line.split(">")[0] for line in project("core")["dependencies"]}
    assert names == {"certifi", "httpcore", "httpx", "numpy", "pydantic", "sniffio", "typing-extensions"}


def test_the_constraints_name_no_place() -> None:
    """Versions only: no address, no path, no hash, none of our own packages."""
    ours = {project(folder)["name"] for folder in FOLDERS}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        requirement = line.partition(";")[0]
        name, pin, version = requirement.partition("==")
        assert pin, line
        assert version.strip(), line
        assert not {"/", "@", ":", "\\"} & set(requirement), line
        assert not line.startswith(("-", "#")), line
        assert name not in ours, line


def test_the_changelog_knows_the_version() -> None:
    assert f"## [Unreleased] {VERSION}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
