"""The rows: what must show, each a function that measures and claims."""
