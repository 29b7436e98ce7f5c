"""What a user of the core writes. Where a line is wrong, mypy must say so: an ignore that is not needed is an error."""

from __future__ import annotations

from pydantic import SecretStr

from openrouter_embeddings import Client, ProviderPreferences

preferences: ProviderPreferences = {"data_collection": "deny", "order": ["deepinfra"]}
client = Client("qwen/qwen3-embedding-8b", api_key=SecretStr("a key"), on_empty="zero", provider=preferences)
cost: float = client.embed_documents(["a text"]).usage.cost
rows = Client("m", on_error="null", on_empty="null").embed_documents(["a text", None])
why: str = rows.errors[1].message
lists: list[list[float]] = rows.tolist()

Client("m", on_error="zero")  # type: ignore[arg-type]
Client("m", on_empty="zreo")  # type: ignore[arg-type]
Client("m", provider={"data_colection": "deny"})  # type: ignore[arg-type]
Client("m", provider={"data_collection": "denied"})  # type: ignore[arg-type]
Client("m", request_timeout=3)  # type: ignore[call-arg]
client.embed(["a text"], input_type="search_query")  # type: ignore[arg-type]
