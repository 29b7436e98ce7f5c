"""`python -m openrouter_embeddings.cli`."""

from . import main

main()
