"""The command line: `openrouter-embeddings embed | models | check`. What it stands on comes with the extra `[cli]`."""

from __future__ import annotations

import sys

_NEEDS = {"typer", "rich", "pyarrow", "click"}


def main() -> None:
    """Run the command line, or say what to install."""
    try:
        from .app import app
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _NEEDS:
            raise
        sys.stderr.write(
            f'No {missing.name} here. Install the command line: pip install "openrouter-embeddings[cli]"\n'
        )
        sys.exit(2)
    app()
