"""Private parts of httpx, httpcore and h11 may change with any release: one module of the core knows some."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "packages/core/src/openrouter_embeddings"
MAY = CORE / "_transport/unnamed.py"
NAMES = re.compile(
    r"\b(_pool|_connections|_requests|_network_backend|_h11_state|_transport_for_url|_mounts|_stream"
    r"|_httpcore_stream|_raw_socket|_sync|_async|_backends)\b"
)
LIBRARIES = {"httpx", "httpcore", "h11"}


def private_names(source: str) -> list[str]:
    """Return where a module names a private part: of anything but itself, or in a string, or in an import."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and NAMES.fullmatch(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            found += [] if own else [f"{node.lineno}: {node.attr}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMES.fullmatch(node.value):
            found.append(f"{node.lineno}: {node.value!r}")
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            names = [f"{module}.{name.name}" for module in modules for name in node.names] + modules
            found += [
                f"{node.lineno}: {name}"
                for name in names
                if name.partition(".")[0] in LIBRARIES and any(part.startswith("_") for part in name.split("."))
            ]
    return found


@pytest.mark.parametrize("path", sorted(CORE.glob("**/*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_no_other_module_names_a_private_part(path: Path) -> None:
    found = private_names(path.read_text(encoding="utf-8"))
    assert bool(found) is (path == MAY), found


@pytest.mark.parametrize(
    "source",
    [
        "client._transport._pool",
        "getattr(part, '_h11_state')",
        "from httpcore._backends import sync",
        "import httpcore._sync.http11",
        "from httpx import _client",
    ],
)
def test_the_search_finds_them(source: str) -> None:
    assert private_names(source)
    assert not private_names("self._pool = pool; from httpcore import ConnectionPool")
