"""The command line: start a gateway and say where it is."""

from __future__ import annotations

import os

# Before numpy is imported: the matrix library's threads would fight the server's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import uvicorn

from .app import Gateway
from .settings import Settings

_Number = TypeVar("_Number", int, float)


class _Server(uvicorn.Server):
    """A server that prints one line when it is ready to answer."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        print(f"openrouter-embeddings-gateway is ready at {self._url}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        settings = _settings(given)
    except ValueError as wrong:
        parser.error(str(wrong))
    listener = _listen(given.host, given.port)
    if listener is None:
        return 1
    gateway = Gateway(settings, api_key=given.api_key)
    if not gateway.model.real:
        print(f"openrouter-embeddings-gateway serves {gateway.model.description}.", file=sys.stderr, flush=True)
    host = f"[{given.host}]" if ":" in given.host else given.host
    server = _Server(_config(gateway), f"http://{host}:{listener.getsockname()[1]}/api/v1")
    if given.exit_with_stdin:
        threading.Thread(target=_exit_with_stdin, args=(server,), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openrouter-embeddings-gateway",
        description="A local gateway that speaks the OpenRouter Embeddings API over a real model.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=8088, help="port; 0 for a free one (default: 8088)")
    add("--api-key", default=None, help="the one key to accept (default: any)")
    add("--model", action="append", default=[], metavar="ID:WIDTH", help="add a model; may be given several times")
    add("--lenient", action="store_true", help="answer to every model id and provider slug, and to broken pictures")
    add("--cap", type=int, metavar="N", help="answer 429 to more than N requests at once")
    add("--rate", metavar="R[:BURST]", help="answer 429 to more than R requests a second, after BURST at once")
    add("--latency", type=float, default=0.0, metavar="SECONDS", help="what every request takes on top of the work")
    add("--faults", type=float, default=0.0, metavar="SHARE", help="fail this share of requests, from 0 to 1")
    add("--exit-with-stdin", action="store_true", help="stop when standard input ends")
    return parser


def _settings(given: argparse.Namespace) -> Settings:
    rate, _, burst = (given.rate or "").partition(":")
    return Settings(
        models=dict(_model(text) for text in given.model),
        lenient=given.lenient,
        cap=given.cap,
        rate=_number("--rate", rate, float) if rate else None,
        burst=_number("--rate", burst, int) if burst else None,
        latency=given.latency,
        faults=given.faults,
    )


def _model(text: str) -> tuple[str, int]:
    """Read `ID:WIDTH`; an id may hold colons of its own."""
    model, _, width = text.rpartition(":")
    return model, _number("--model", width, int)


def _number(option: str, text: str, kind: Callable[[str], _Number]) -> _Number:
    try:
        return kind(text)
    except ValueError:
        takes = {"--model": "ID:WIDTH, such as acme/embed:768", "--rate": "R[:BURST], such as 5:10"}
        raise ValueError(f"{option} takes {takes[option]}.") from None


def _listen(host: str, port: int) -> socket.socket | None:
    """Return a socket that is bound, or say why there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns off the delay of small packets only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        print(f"openrouter-embeddings-gateway cannot listen on {host}:{port}: {error}", file=sys.stderr)
        return None
    return listener


def _config(gateway: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        # What breaks connections on request knows this protocol and this loop.
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def _exit_with_stdin(server: uvicorn.Server) -> None:
    """Stop when the parent closes our standard input, which its death does too, however it dies."""
    while sys.stdin.buffer.read(4096):
        pass
    server.should_exit = True
    time.sleep(3)
    os._exit(0)  # a request that hangs must not outlive the parent
