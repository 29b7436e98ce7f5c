"""Imports go down only, file by file. Read from the source, so that lazy and type-checking imports count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
CORE = PACKAGES / "core/src/openrouter_embeddings"
CORE_NAME = "openrouter_embeddings"

VALUES = {
    "_fork", "_warn", "_matrix", "_json", "_secret", "_validate", "errors", "results", "usage", "content", "inputs", "option_types", "options", "words", "preferences",
    "gateways", "limiter",
    "stream",
}  # fmt: skip
"""The modules at the root of the package: the values that everybody speaks in."""

WINGS: dict[str, set[str]] = {
    # wing: what of the core it may import besides itself; between wings through the face only
    "profiles": set(),
    "_limits": set(),
    "cache": {"errors", "_fork", "_warn"},
    "_protocol": {"_matrix", "errors", "usage", "gateways", "profiles", "_limits"},
    "_flows": VALUES | {"_protocol", "profiles", "_limits", "cache"},
    "_transport": {"errors", "_fork", "_validate", "gateways", "_protocol"},
    "_runtime": {"errors", "limiter", "_fork", "_warn", "_flows", "_protocol", "_limits", "cache"},
    "checks": VALUES | {"_flows", "_protocol", "profiles"},
    "client": VALUES | {"_flows", "_runtime", "_transport", "_limits", "checks", "cache", "profiles"},
    "cli": {"__init__", "_matrix"},
}
"""The wings from below. A new folder needs a line here."""

SECOND_DOORS = {
    # A face must be cheap where `import openrouter_embeddings` loads it; what runs a check loads numpy and pydantic.
    "checks": {"session", "model", "consistency"},
}
"""Files of a wing that others may import beside its face, with the reason."""

PURE = ("_flows", "_protocol", "_limits", "profiles")
WORLD = {"httpx", "httpcore", "asyncio", "threading", "time", "random", "os", "socket", "concurrent"}
HTTP = {"httpx", "httpcore", "h11"}
KNOWS_HTTP = ("_transport",)
KNOWS_TELEMETRY = "client.telemetry"

ADAPTERS = {
    "langchain": "langchain_openrouter_embeddings",
    "llama-index": "llama_index.embeddings.openrouter",
    "haystack": "haystack_integrations.components.embedders.openrouter_embeddings",
    "engines": "openrouter_embeddings_engines",
}
GATEWAY_MAY_IMPORT = {"openrouter_embeddings.profiles"}


@cache
def imported(path: Path, package: str) -> frozenset[str]:
    """Return the absolute names that a module imports anywhere, `from a import b` as both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                parent = ".".join([*base, *([node.module] if node.module else [])])
            if any(not is_module(f"{parent}.{alias.name}") for alias in node.names):
                names.add(parent)
            names.update(f"{parent}.{alias.name}" for alias in node.names)
    return frozenset(names)


def is_module(name: str) -> bool:
    """Return whether a dotted name is a file of the core: `from package import module` imports the file alone."""
    path = CORE.parent / name.replace(".", "/")
    return path.with_suffix(".py").is_file()


@cache
def for_types_only(path: Path) -> frozenset[int]:
    """Return the lines of imports that stand for the type checker only."""
    blocks = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    ]
    return frozenset(
        inner.lineno for block in blocks for node in block.body for inner in ast.walk(node) if hasattr(inner, "lineno")
    )


def roots(names: frozenset[str] | set[str]) -> set[str]:
    """Return the top-level packages of some imported names."""
    return {name.partition(".")[0] for name in names}


def core_files() -> list[Path]:
    """Return the core's source files."""
    found = sorted(CORE.glob("**/*.py"))
    assert found
    return found


def sources(folder: str, import_name: str) -> list[Path]:
    """Return the source files of a package's leaf."""
    found = sorted((PACKAGES / folder / "src" / import_name.replace(".", "/")).glob("**/*.py"))
    assert found
    return found


def module_of(path: Path) -> str:
    """Return a core file's dotted name below the package; a face is named like its wing, the public face `__init__`."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def package_of(path: Path) -> str:
    """Return the package that a core file's relative imports start from."""
    return ".".join([CORE_NAME, *path.relative_to(CORE).parts[:-1]])


def label(path: Path) -> str:
    """Return the test's name for a file."""
    return module_of(path)


MODULES = {module_of(path): path for path in core_files()}


def imported_modules(path: Path) -> set[str]:
    """Return which files of the core a file imports, itself aside."""
    found = set()
    for name in imported(path, package_of(path)):
        if name == CORE_NAME or name.startswith(f"{CORE_NAME}."):
            inner = name.removeprefix(CORE_NAME).removeprefix(".") or "__init__"
            # `from package import thing` names the thing too: it is the file that exists.
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    named = {name for name in found if name}
    # `from .wing import file` imports the file; the package above it comes along and is no choice of the importer's.
    return {name for name in named if name != module_of(path)} & set(MODULES)


def wing_of(module: str) -> str:
    """Return the wing that a module stands in; a module at the root is its own."""
    return module.partition(".")[0]


def test_every_folder_of_the_core_is_a_wing_and_every_root_module_a_value() -> None:
    at_root = {path.stem for path in CORE.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in CORE.glob("*/*.py")}
    assert at_root == VALUES
    assert folders == set(WINGS)


@pytest.mark.parametrize("path", core_files(), ids=label)
def test_a_file_imports_other_wings_through_their_faces_and_only_those_below(path: Path) -> None:
    me = module_of(path)
    wing = wing_of(me)
    if me == "__init__":
        return  # the public face stands above everything but the command line
    allowed = WINGS.get(wing, VALUES | {"profiles", "cache"})
    wrong = set()
    for other in imported_modules(path):
        there = wing_of(other)
        if there == wing and wing in WINGS:
            continue
        through_face = other == there or other.rpartition(".")[2] in SECOND_DOORS.get(there, ())
        if there not in allowed or not through_face:
            wrong.add(other)
    assert not wrong, f"{me} may not import {sorted(wrong)}"


def test_no_two_files_of_the_core_import_each_other_by_any_way_round() -> None:
    """`TYPE_CHECKING` included: what only the types know of each other is one subject too."""
    graph = {module: imported_modules(path) for module, path in MODULES.items()}
    done: set[str] = set()
    on_the_way: list[str] = []

    def visit(module: str) -> None:
        if module in done:
            return
        assert module not in on_the_way, f"a circle: {' -> '.join([*on_the_way[on_the_way.index(module) :], module])}"
        on_the_way.append(module)
        for other in sorted(graph[module]):
            visit(other)
        on_the_way.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


def test_no_module_is_named_by_a_family() -> None:
    """Files of one subject stand in a folder; a shared prefix is a folder that was not made."""
    names = [path.stem.lstrip("_") for path in CORE.glob("*.py")]
    families = {one for one in names for other in names if other.startswith(f"{one}_")}
    assert not families


@pytest.mark.parametrize("path", [p for p in core_files() if wing_of(module_of(p)) in PURE], ids=label)
def test_what_decides_knows_no_world(path: Path) -> None:
    assert not roots(imported(path, package_of(path))) & WORLD


@pytest.mark.parametrize("path", core_files(), ids=label)
def test_only_the_transport_knows_http(path: Path) -> None:
    if wing_of(module_of(path)) in KNOWS_HTTP:
        return
    source = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(source))):
        if isinstance(node, ast.Import) and roots({alias.name for alias in node.names}) & HTTP:
            # Options name the user's own httpx clients in their types.
            assert node.lineno in for_types_only(path), f"line {node.lineno} imports httpx"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").partition(".")[0] not in HTTP


@pytest.mark.parametrize("path", core_files(), ids=label)
def test_only_one_file_knows_opentelemetry_and_loads_it_for_those_who_listen(path: Path) -> None:
    knows = "opentelemetry" in roots(imported(path, package_of(path)))
    assert knows == (module_of(path) == KNOWS_TELEMETRY)
    allowed = for_types_only(path)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:  # inside a function it loads when somebody listens
        if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno not in allowed:
            assert "opentelemetry" not in ast.unparse(node)


@pytest.mark.parametrize("path", core_files(), ids=label)
def test_the_core_knows_no_adapter_no_gateway_no_framework(path: Path) -> None:
    foreign = {
        "langchain_core",
        "langchain",
        "langchain_openrouter_embeddings",
        "llama_index",
        "haystack",
        "haystack_integrations",
        "openrouter_embeddings_gateway",
        "openrouter_embeddings_engines",
    }
    assert not roots(imported(path, package_of(path))) & foreign


@pytest.mark.parametrize("wing", sorted(WINGS))
def test_a_face_defines_nothing_and_says_in_one_sentence_what_its_wing_knows(wing: str) -> None:
    tree = ast.parse((CORE / wing / "__init__.py").read_text(encoding="utf-8"))
    said = ast.get_docstring(tree)
    assert said
    if wing != "cli":  # where `main` says how to install what the rest of the wing needs
        assert not [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert len(said.splitlines()) == 1


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
        "sys.exit(', '.join({'httpx', 'numpy', 'asyncio', 'pydantic', 'opentelemetry'} & set(sys.modules)))"
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
    """Longer than 300 lines means two subjects in one file."""
    long = {
        str(path.relative_to(PACKAGES)): count
        for path in sorted(PACKAGES.glob("*/src/**/*.py"))
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


def test_no_function_is_long() -> None:
    """45 lines, the docstring left out: a public method's arguments are described where they are taken."""
    long = {}
    for path in sorted(PACKAGES.glob("*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None and first.end_lineno is not None
                lines = (node.end_lineno or 0) - node.lineno + 1
                lines -= (first.end_lineno or 0) - first.lineno + 1 if documented else 0
                if lines > 45:
                    long[f"{path.relative_to(PACKAGES)}:{node.name}"] = lines
    assert not long
