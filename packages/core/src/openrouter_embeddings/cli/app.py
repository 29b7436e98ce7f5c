"""The three commands. The key is read from the environment, never from the command line, which others can see."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.table import Table

from ..client import Client
from ..errors import ConfigurationError, EmbeddingError
from ..gateways import ModelInfo
from .embedding import Run
from .exits import INTERRUPTED, MEANINGS, NOT_OK, SOME_FAILED, USAGE, code_of
from .readers import format_of, read
from .writers import writer_for

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help=f"Embeddings through OpenRouter.\n\n{MEANINGS}",
    rich_markup_mode=None,
)

Gateway = Annotated[str, typer.Option(help="openrouter or infron.")]
BaseUrl = Annotated[str | None, typer.Option(help="Another address of the API.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _console() -> Console:
    return Console(stderr=True, highlight=False)


@contextmanager
def _ending_well(on_interrupt: str = "") -> Iterator[None]:
    """Turn what ends a command into one line and an exit code."""
    try:
        yield
    except EmbeddingError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(code_of(error)) from None
    except OSError as error:
        typer.echo(f"{error.strerror or error}: {error.filename or ''}", err=True)
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        typer.echo(f"Interrupted.{on_interrupt}", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def embed(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="JSONL, CSV, Parquet or text lines; - for stdin.")],
    model: Annotated[str, typer.Option(help="The gateway's model id.")],
    out: Annotated[Path, typer.Option(help="Where to: a name that ends with .parquet or .npy.")],
    form: Annotated[str | None, typer.Option("--format", help="jsonl, csv, parquet or lines; else by suffix.")] = None,
    text_column: Annotated[str, typer.Option(help="Where the text stands.")] = "text",
    id_column: Annotated[str | None, typer.Option(help="Where the id stands; else rows are counted from 0.")] = None,
    side: Annotated[str, typer.Option(help="document or query.")] = "document",
    dimensions: Annotated[int | None, typer.Option(help="Width of the embeddings.")] = None,
    provider: Annotated[str | None, typer.Option(help="Provider preferences as JSON.")] = None,
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    cache: Annotated[Path | None, typer.Option(help="Cache file; else OUT.cache.sqlite.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep nothing: a second run pays again.")] = False,
    batch_size: Annotated[int | None, typer.Option(help="Most inputs a request.")] = None,
    max_concurrency: Annotated[int, typer.Option(help="Most requests in flight.")] = 16,
    max_cost: Annotated[float | None, typer.Option(help="USD to spend at most.")] = None,
    on_too_long: Annotated[str, typer.Option(help="error, truncate or average.")] = "error",
    on_empty: Annotated[str, typer.Option(help="error or zero.")] = "error",
    errors: Annotated[Path | None, typer.Option(help="List inputs without an embedding here, as JSONL.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
) -> None:
    """Embed a file. Run again after an interruption, it goes on where it was and pays for nothing twice."""
    kept = None if no_cache else cache or out.with_name(f"{out.name}.cache.sqlite")
    hint = " What landed is in the cache: the same command goes on from there." if kept else ""
    with _ending_well(hint):
        client = Client(
            model,
            gateway=gateway,
            base_url=base_url,
            dimensions=dimensions,
            provider=_mapping(provider),
            cache=kept,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            max_cost=max_cost,
            on_too_long=cast("Any", on_too_long),
            on_empty=cast("Any", on_empty),
        )
        pairs = read(source, format_of(source, form), text=text_column, ident=id_column)
        run = Run(client, errors=errors, console=_console(), quiet=quiet)
        run.embed(pairs, cast("Literal['query', 'document']", side), writer_for(out))
    if not quiet:
        typer.echo(run.summary(), err=True)
    if run.failed:
        raise typer.Exit(SOME_FAILED)


def _mapping(text: str | None) -> dict[str, Any] | None:
    try:
        found = None if text is None else json.loads(text)
    except ValueError:
        found = text
    if found is not None and not isinstance(found, dict):
        raise ConfigurationError('--provider takes a JSON object, e.g. \'{"data_collection": "deny"}\'.')
    return found


@app.command()
def models(
    search: Annotated[str, typer.Option(help="Only ids that hold this.")] = "",
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """List the embedding models that the gateway offers."""
    with _ending_well():
        found = [one for one in Client("any", gateway=gateway, base_url=base_url).list_models() if search in one.id]
        if as_json:
            sys.stdout.write(json.dumps([asdict(one) for one in found], default=str, indent=2) + "\n")
        else:
            Console(width=None if sys.stdout.isatty() else 120).print(_table(found))


def _table(found: list[ModelInfo]) -> Table:
    table = Table("model", "USD/M tokens", "context", "dimensions", "takes", box=None, pad_edge=False)
    for one in found:
        price = "" if one.prompt_price is None else f"{one.prompt_price:g}"
        table.add_row(
            one.id, price, _number(one.context_length), _number(one.dimensions), ", ".join(one.input_modalities)
        )
    return table


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="The gateway's model id.")],
    consistency: Annotated[bool, typer.Option(help="Compare the model's providers too.")] = False,
    gateway: Gateway = "openrouter",
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Try a model with a few cheap requests: does it do what its profile says, do its providers agree."""
    with _ending_well():
        client = Client(model, gateway=gateway, base_url=base_url)
        found = client.check_model()
        agreed = client.check_consistency() if consistency else None
        if as_json:
            both = {"model": found.to_dict(), "consistency": agreed.to_dict() if agreed else None}
            sys.stdout.write(json.dumps(both, default=str, indent=2) + "\n")
        else:
            sys.stdout.write(f"{found}\n" + (f"\n{agreed}\n" if agreed else ""))
    if not found.ok or (agreed is not None and not agreed.agree()):
        raise typer.Exit(NOT_OK)
