"""The texts that search_stdlib.py searches: Python's own documentation, or the files of a folder.

Run as a script it prints the documentation of the standard library as JSON. The demo runs it so, in a process of its
own and without site-packages: some modules do things when they are imported, and the texts must not depend on what
else is installed.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

# Modules that act when imported (`this` prints, `antigravity` opens a browser), need a screen, went with Python 3.12 or
# 3.13, hold no API of their own, or are how another public name is made (`os.path.join` is `posixpath.join` here).
_LEFT_OUT = {
    "__main__", "antigravity", "distutils", "encodings", "ensurepip", "genericpath", "idlelib", "lib2to3", "nt",
    "ntpath", "nturl2path", "posix", "posixpath", "pydoc_data", "pyexpat", "test", "this", "tkinter", "turtle",
    "turtledemo",
}  # fmt: skip
_BELOW = {"os": ["path"]}
"""Public modules below one that is no package."""
_SUFFIXES = {".txt", ".md", ".rst", ".py", ".html"}
_SHORTEST_PARAGRAPH = 40


def standard_library() -> list[str]:
    """Return `qualified.name: first line of its docstring` for every public function, class and method."""
    done = subprocess.run(  # -I and -S: neither the environment nor site-packages has a say
        [sys.executable, "-I", "-S", "-W", "ignore", "-X", "utf8", __file__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=120,
    )
    texts: list[str] = json.loads(done.stdout)
    return texts


def folder(path: Path, *suffixes: str) -> list[str]:
    """Return every paragraph of the text files below a folder, or of those with these suffixes, as `file: paragraph`."""
    texts: dict[str, None] = {}  # each once: a store keeps texts by what they say
    taken = set(suffixes) or _SUFFIXES
    for file in sorted(one for one in path.rglob("*") if one.suffix.lower() in taken and one.is_file()):
        for paragraph in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            text = " ".join(paragraph.split())
            if len(text) >= _SHORTEST_PARAGRAPH:
                texts[f"{file.relative_to(path)}: {text}"] = None
    return list(texts)


def _documented() -> dict[str, str]:
    """Return the first line of every docstring, by qualified name."""
    found: dict[str, str] = {}
    seen = set[int]()
    for name in _modules():
        module = _imported(name)
        if module is None:
            continue
        for public, thing in _public(module):
            if id(thing) in seen:
                continue  # `os.path.join` is `posixpath.join`: once is enough
            seen.add(id(thing))
            found |= _of(f"{name}.{public}", thing)
    return found


def _modules() -> Iterator[str]:
    """Yield the public modules of the standard library, and of its packages one level down."""
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in _LEFT_OUT:
            continue
        yield name
        spec = find_spec(name)
        below = [sub.name for sub in pkgutil.iter_modules(spec.submodule_search_locations or [])] if spec else []
        for sub in below + _BELOW.get(name, []):
            if not sub.startswith(("_", "test")):
                yield f"{name}.{sub}"


def _imported(name: str) -> types.ModuleType | None:
    """Return a module, or None where this machine or platform has none of it."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return import_module(name)
    except (Exception, SystemExit):  # a module may fail in any way it likes: it is only left out
        return None


def _public(module: types.ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the module's own functions and classes. What it only imports belongs to another module."""
    listed = getattr(module, "__all__", None)
    named = [(name, getattr(module, name, None)) for name in (vars(module) if listed is None else listed)]
    # A thing under its own name comes before its aliases, which are then left out.
    for name, thing in sorted(named, key=lambda one: (one[0] != getattr(one[1], "__name__", ""), one[0])):
        if name.startswith("_") or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        home = getattr(thing, "__module__", None) or module.__name__
        if listed is not None or home.lstrip("_") == module.__name__:
            yield name, thing


def _of(name: str, thing: object) -> dict[str, str]:
    """Return the first lines of a function, or of a class and the methods it defines itself."""
    lines = {name: _first_line(thing)}
    if inspect.isclass(thing):
        for method, value in vars(thing).items():
            if not method.startswith("_") and inspect.isroutine(value):
                lines[f"{name}.{method}"] = _first_line(value)
    return {known: line for known, line in lines.items() if line}


def _first_line(thing: object) -> str:
    """Return the first line of a docstring. One that only shows how to call it says nothing: the next one does."""
    doc = getattr(thing, "__doc__", None)
    lines = [line.strip() for line in doc.splitlines()] if isinstance(doc, str) else []
    name = getattr(thing, "__name__", "")
    return next((line for line in lines if line and not (name and line.startswith((f"{name}(", f"{name} (")))), "")


if __name__ == "__main__":
    print(json.dumps([f"{name}: {line}" for name, line in _documented().items()]))
