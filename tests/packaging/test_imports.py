"""Imports go down only. Read from the source, so that a lazy import inside a function counts too."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
CORE = PACKAGES / "core/src/openrouter_embeddings"

FLOORS: list[tuple[str, ...]] = [
    # Each line may import the lines above it, and nothing from its own line unless NEIGHBOURS says so.
    ("_fork",),
    ("errors", "usage", "_pace", "_width", "_profile_shape", "_secret"),
    ("preferences", "_limits", "_parts", "results", "_profile_families"),
    ("inputs", "stream", "checks", "_effects", "_profile_data", "_cache_file"),
    ("profiles", "_sqlite_cache"),
    ("gateways", "cache"),
    ("_plan", "_wire", "options", "_company", "_quote"),
    ("_retry", "_learned"),  # one reads what _wire found in an error body
    ("_job",),  # the state of one call
    ("_prepare", "_slices"),  # a call's inputs, checked, marked, counted
    ("_flow*",),
    ("_drive*",),
    ("_client*",),
    ("client",),
    ("cli",),
    ("__init__",),
]
"""The core from below. A new module needs a place here; a pattern names a family of files."""

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    # importer: what it may import from its own floor. A reason belongs beside each.
    "_flow*": ("_flow*",),  # one story in several files
    "_drive*": ("_drive*",),  # one driver in several files
    "_client*": ("_client*",),  # what has no colour, in several files
}

WORLDLESS = (
    "_company",
    "_effects",
    "_flow*",
    "_job",
    "_plan",
    "_prepare",
    "_retry",
    "_limits",
    "_pace",
    "_width",
    "_wire",
)
WORLD = {"httpx", "asyncio", "threading", "time", "random", "os"}
HTTPX_IN = ("_drive*", "client", "_client*")

ADAPTERS = {
    "langchain": "langchain_openrouter_embeddings",
    "llama-index": "llama_index.embeddings.openrouter",
    "haystack": "haystack_integrations.components.embedders.openrouter_embeddings",
}
GATEWAY_MAY_IMPORT = {"openrouter_embeddings.profiles"}


def is_type_checking(test: ast.expr) -> bool:
    """Return whether an if stands for the type checker only."""
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imported(path: Path, package: str) -> set[str]:
    """Return the absolute names a module imports at run time, `from a import b` as both a and a.b."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and is_type_checking(node.test):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                parent = ".".join([*base, *([node.module] if node.module else [])])
            names.add(parent)
            names.update(f"{parent}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


def roots(names: set[str]) -> set[str]:
    """Return the top-level packages of some imported names."""
    return {name.partition(".")[0] for name in names}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a module's name fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def floor_of(name: str) -> int:
    """Return how high a core module stands."""
    for height, patterns in enumerate(FLOORS):
        if matches(name, patterns):
            return height
    raise AssertionError(f"{name}.py has no floor: give it a place in FLOORS.")


def core_modules() -> list[Path]:
    """Return the core's source files."""
    found = sorted(CORE.glob("**/*.py"))
    assert found
    return found


def sources(folder: str, import_name: str) -> list[Path]:
    """Return the source files of a package's leaf."""
    found = sorted((PACKAGES / folder / "src" / import_name.replace(".", "/")).glob("**/*.py"))
    assert found
    return found


def package_of(path: Path) -> str:
    """Return the package that a core file's relative imports start from."""
    return ".".join(["openrouter_embeddings", *path.relative_to(CORE).parts[:-1]])


def label(path: Path) -> str:
    """Return the test's name for a file."""
    return path.stem


def name_in_core(path: Path) -> str:
    """Return a core file's module name below the package; a sub-package counts as one module."""
    first = path.relative_to(CORE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", core_modules(), ids=label)
def test_a_core_module_imports_lower_floors_only(path: Path) -> None:
    me = name_in_core(path)
    known = {name_in_core(other) for other in core_modules()}
    allowed_here = next((allowed for pattern, allowed in NEIGHBOURS.items() if fnmatchcase(me, pattern)), ())
    wrong = set()
    for name in imported(path, package_of(path)):
        parts = name.split(".")
        if parts[0] != "openrouter_embeddings" or len(parts) < 2 or parts[1] not in known or parts[1] == me:
            continue
        other = parts[1]
        if floor_of(other) < floor_of(me):
            continue
        if floor_of(other) == floor_of(me) and matches(other, allowed_here):
            continue
        wrong.add(other)
    assert not wrong, f"{me} imports {sorted(wrong)}, which stand no lower"


@pytest.mark.parametrize("path", [p for p in core_modules() if matches(p.stem, WORLDLESS)], ids=label)
def test_the_story_knows_no_world(path: Path) -> None:
    assert not roots(imported(path, "openrouter_embeddings")) & WORLD


@pytest.mark.parametrize("path", core_modules(), ids=label)
def test_only_the_driver_and_the_client_know_httpx(path: Path) -> None:
    if not matches(path.stem, HTTPX_IN):
        assert "httpx" not in roots(imported(path, "openrouter_embeddings"))


@pytest.mark.parametrize("path", core_modules(), ids=label)
def test_the_core_knows_no_adapter_no_gateway_no_framework(path: Path) -> None:
    foreign = {
        "langchain_core",
        "langchain",
        "langchain_openrouter_embeddings",
        "llama_index",
        "haystack",
        "haystack_integrations",
        "openrouter_embeddings_gateway",
    }
    assert not roots(imported(path, "openrouter_embeddings")) & foreign


@pytest.mark.parametrize(("folder", "import_name"), ADAPTERS.items())
def test_an_adapter_knows_no_http_no_neighbour_and_no_private_part(folder: str, import_name: str) -> None:
    others = {name for name in ADAPTERS.values() if name != import_name} | {"openrouter_embeddings_gateway"}
    for path in sources(folder, import_name):
        names = imported(path, import_name)
        assert not roots(names) & {"httpx", "requests", "aiohttp", "openai"}, path
        assert not {n for n in names for other in others if n == other or n.startswith(other + ".")}, path
        private = {n for n in names if n.startswith("openrouter_embeddings._")}
        assert not private, f"{path.name} imports {sorted(private)}"


def test_the_gateway_knows_the_profiles_and_nothing_else_of_the_core() -> None:
    for path in sources("gateway", "openrouter_embeddings_gateway"):
        of_core = {
            name
            for name in imported(path, "openrouter_embeddings_gateway")
            if name.split(".")[0] == "openrouter_embeddings" and name != "openrouter_embeddings"
        }
        wrong = {
            name
            for name in of_core
            if not any(name == allowed or name.startswith(allowed + ".") for allowed in GATEWAY_MAY_IMPORT)
        }
        assert not wrong, f"{path.name} imports {sorted(wrong)}"


def test_the_public_face_defines_nothing() -> None:
    tree = ast.parse((CORE / "__init__.py").read_text(encoding="utf-8"))
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    assert not defined


def test_what_a_request_needs_loads_with_the_first_request() -> None:
    script = (
        "import sys; from openrouter_embeddings import Client; Client('m', api_key='k');"
        "sys.exit(', '.join({'httpx', 'numpy', 'asyncio', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_no_namespace_folder_above_a_leaf_holds_a_file() -> None:
    """One ``__init__.py`` in a shared namespace makes every other package in it unimportable."""
    for folder, import_name in ADAPTERS.items():
        root = PACKAGES / folder / "src"
        leaf = root / import_name.replace(".", "/")
        above = [path for path in leaf.parents if path == root or root in path.parents]
        assert not [file for path in above for file in path.iterdir() if file.is_file()]


def test_no_source_file_is_long() -> None:
    """Longer than 350 lines means two subjects in one file."""
    long = {
        str(path.relative_to(PACKAGES)): count
        for path in sorted(PACKAGES.glob("*/src/**/*.py"))
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert not long
