"""Lets `python -m openrouter_embeddings.cli` run the command."""

from . import main

if __name__ == "__main__":
    main()
