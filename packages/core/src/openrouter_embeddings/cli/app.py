"""The commands and their options."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, cast

import typer

from openrouter_embeddings import Client, InputType, SqliteCache

from .bulk import Files, embed_files
from .connect import client_for
from .exits import MEANINGS, Exit, errors_end_the_command, plain
from .listing import as_json, matching, print_table
from .rows import Columns

app = typer.Typer(
    help="Embeddings through OpenRouter. The key is read from OPENROUTER_API_KEY.",
    epilog=MEANINGS,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # no traceback shows a local variable: it may hold a text or a key
)


Model = Annotated[str, typer.Option("--model", "-m", help="The gateway's model id.")]
Gateway = Annotated[str, typer.Option(help="openrouter, infron, or openai-compatible with --base-url.")]
BaseUrl = Annotated[str | None, typer.Option(help="Another address of the gateway.")]
AllowPlainHttp = Annotated[
    bool, typer.Option("--allow-plain-http", help="Texts and the key may travel unencrypted to another machine.")
]
Profile = Annotated[str | None, typer.Option(help="The model whose facts hold, where the id is an alias of it.")]
QueryInputType = Annotated[str | None, typer.Option(help="The input_type sent with a query; '' for none.")]
DocumentInputType = Annotated[str | None, typer.Option(help="The input_type sent with a document; '' for none.")]
QueryPrefix = Annotated[str | None, typer.Option(help="What is put before a query; '' for nothing.")]
DocumentPrefix = Annotated[str | None, typer.Option(help="What is put before a document; '' for nothing.")]
Provider = Annotated[str | None, typer.Option(metavar="JSON", help="Provider preferences, as on the wire.")]
Dimensions = Annotated[int | None, typer.Option(help="Width to ask for.")]
MaxCost = Annotated[float | None, typer.Option(metavar="USD", help="No request starts that would pass it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
Format = Annotated[str | None, typer.Option("--format", help="jsonl, csv, parquet or lines; else by suffix.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of a table.")]


@app.command(epilog=MEANINGS)
def embed(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="JSONL, CSV, Parquet or lines of text; - is stdin.")],
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .parquet or .npy file, replaced when all is done.")],
    *,
    format_: Format = None,
    text_column: Annotated[str, typer.Option(help="Where a row has its text.")] = "text",
    id_column: Annotated[str | None, typer.Option(help="Where a row has its id; else they are counted from 0.")] = None,
    side: Annotated[str, typer.Option(help="document or query.")] = "document",
    profile: Profile = None,
    query_input_type: QueryInputType = None,
    document_input_type: DocumentInputType = None,
    query_prefix: QueryPrefix = None,
    document_prefix: DocumentPrefix = None,
    dimensions: Dimensions = None,
    provider: Provider = None,
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    allow_plain_http: AllowPlainHttp = False,
    max_concurrency: Annotated[int | None, typer.Option(help="Most requests in flight.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Most inputs a request.")] = None,
    max_cost: MaxCost = None,
    on_too_long: Annotated[str, typer.Option(help="error, truncate or average.")] = "error",
    on_empty: Annotated[str, typer.Option(help="error, zero, or null: left out.")] = "error",
    cache: Annotated[Path | None, typer.Option(help="What is paid for is kept here; else in OUT.cache.sqlite.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep nothing.")] = False,
    errors: Annotated[Path | None, typer.Option(help="Failed inputs go here, a JSON object a line.")] = None,
    quiet: Quiet = False,
) -> None:
    """Embed a file. Started again after whatever stopped it, it pays only for what is missing."""
    kept = None if no_cache else SqliteCache(cache or f"{out}.cache.sqlite")
    with errors_end_the_command(_how_to_go_on(kept)), closing(kept) if kept else nullcontext():
        files = Files(source, out, errors, format_, Columns(text_column, id_column))
        files.check()
        client = client_for(
            model, profile=profile, query_input_type=query_input_type, document_input_type=document_input_type,
            query_prefix=query_prefix, document_prefix=document_prefix, dimensions=dimensions, provider=provider,
            gateway=gateway, base_url=base_url, allow_plain_http=allow_plain_http, max_concurrency=max_concurrency,
            batch_size=batch_size, max_cost=max_cost, on_too_long=on_too_long, on_empty=on_empty, cache=kept,
        )  # fmt: skip
        if embed_files(client, files, cast("InputType", side), quiet=quiet).kinds:
            raise typer.Exit(Exit.SOME_FAILED)


def _how_to_go_on(kept: SqliteCache | None) -> str:
    if kept is None:
        return "Nothing was kept (--no-cache)."
    return "What landed is in the cache: the same command goes on from there."


@app.command(epilog=MEANINGS)
def models(
    *,
    search: Annotated[str, typer.Option(help="Words that the id or the name must hold.")] = "",
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    allow_plain_http: AllowPlainHttp = False,
    json_: AsJson = False,
) -> None:
    """List the gateway's embedding models."""
    with (
        errors_end_the_command(),
        client_for(
            "any", needs_key=False, gateway=gateway, base_url=base_url, allow_plain_http=allow_plain_http
        ) as client,
    ):
        found = matching(client.list_models(), search)
        if json_:
            typer.echo(as_json(found))
        else:
            print_table(found)


@app.command(epilog=MEANINGS)
def check(
    model: Annotated[str, typer.Argument(help="The gateway's model id.")],
    *,
    consistency: Annotated[bool, typer.Option("--consistency", help="Compare the model's providers, too.")] = False,
    profile: Profile = None,
    query_input_type: QueryInputType = None,
    document_input_type: DocumentInputType = None,
    query_prefix: QueryPrefix = None,
    document_prefix: DocumentPrefix = None,
    dimensions: Dimensions = None,
    provider: Provider = None,
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    allow_plain_http: AllowPlainHttp = False,
    max_cost: MaxCost = None,
    json_: AsJson = False,
) -> None:
    """Try a model with a few tiny requests: does it do what is expected of it, and do its providers agree?"""
    with (
        errors_end_the_command(),
        client_for(
            model,
            profile=profile,
            query_input_type=query_input_type,
            document_input_type=document_input_type,
            query_prefix=query_prefix,
            document_prefix=document_prefix,
            dimensions=dimensions,
            provider=provider,
            gateway=gateway,
            base_url=base_url,
            allow_plain_http=allow_plain_http,
            max_cost=max_cost,
        ) as client,  # fmt: skip
    ):
        if not _checked(client, consistency=consistency, json_=json_):
            raise typer.Exit(Exit.NOT_OK)


def _checked(client: Client, *, consistency: bool, json_: bool) -> bool:
    first = client.check_model()
    second = client.check_consistency() if consistency else None
    if json_:
        report = {"model": first.to_dict(), "consistency": second.to_dict() if second is not None else None}
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(plain("\n\n".join(str(one) for one in (first, second) if one is not None)))
    return first.ok and (second is None or second.ok)
