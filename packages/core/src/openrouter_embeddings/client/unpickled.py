"""Clients that are unpickled in one process are one, if their options are: the tasks of an engine share it."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import OrderedDict

from openrouter_embeddings._fork import Lock
from openrouter_embeddings.options import Options

from .state import ClientState

_KEPT = 8
"""How many are kept alive between two tasks: those used last."""
_states: OrderedDict[bytes, ClientState] = OrderedDict()
_lock = Lock()


def state_of_process(state: ClientState) -> ClientState:
    """Return the state of these options that this process holds already, or this one, which it holds from now on."""
    digest = _digest(state.options)
    if digest is None:
        return state
    with _lock:
        known = _states.setdefault(digest, state)
        _states.move_to_end(digest)
        while len(_states) > _KEPT:
            _states.popitem(last=False)
    return known


def _digest(options: Options) -> bytes | None:
    """Return a hash of the options and of the address that the environment names; None where they cannot be pickled."""
    found = hashlib.sha256()
    found.update(repr([os.environ.get(name) for name in options.service.base_url_env]).encode(errors="surrogatepass"))
    try:
        for item in options.given().items():
            found.update(pickle.dumps(item))
    except Exception:  # noqa: BLE001  what another pickler has carried here, such as a lambda
        return None
    return found.digest()
