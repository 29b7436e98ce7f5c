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
from collections.abc import Sequence

import uvicorn

from .app import Gateway


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
    parser = argparse.ArgumentParser(
        prog="openrouter-embeddings-gateway",
        description="A local gateway that speaks the OpenRouter Embeddings API over a real model.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8088, help="port; 0 for a free one (default: 8088)")
    parser.add_argument("--api-key", default=None, help="the one key to accept (default: any)")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input ends")
    asked = parser.parse_args(arguments)

    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    # The protocol is named because asyncio turns off the delay of small packets only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((asked.host, asked.port))
    except OSError as error:
        print(f"openrouter-embeddings-gateway cannot listen on {asked.host}:{asked.port}: {error}", file=sys.stderr)
        return 1
    gateway = Gateway(api_key=asked.api_key)
    if not gateway.model.real:
        print(f"openrouter-embeddings-gateway serves {gateway.model.description}.", file=sys.stderr, flush=True)
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    config = uvicorn.Config(
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
    server = _Server(config, f"http://{host}:{listener.getsockname()[1]}/api/v1")
    if asked.exit_with_stdin:
        threading.Thread(target=_exit_with_stdin, args=(server,), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _exit_with_stdin(server: uvicorn.Server) -> None:
    """Stop when the parent closes our standard input, which its death does too, however it dies."""
    while sys.stdin.buffer.read(4096):
        pass
    server.should_exit = True
    time.sleep(3)
    os._exit(0)  # a request that hangs must not outlive the parent
