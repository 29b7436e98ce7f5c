"""The command `openrouter-embeddings`: embed a file, list the models, check one. Needs the extra `cli`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_NEEDS = ("typer", "rich", "pyarrow")


def main() -> None:
    """Run the command, or say how to install what it needs."""
    missing = [name for name in _NEEDS if not _found(name)]
    if missing:
        sys.stderr.write(
            f"The command line needs {', '.join(missing)}. Install it with\n\n"
            '    pip install "openrouter-embeddings[cli]"\n'
        )
        sys.exit(2)
    from .app import app

    app()


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # it is known not to be there
        return False
