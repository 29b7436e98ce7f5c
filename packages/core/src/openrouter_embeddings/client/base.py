"""What both colours of a client have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.gateways import Gateway
from openrouter_embeddings.option_types import ClientOptions
from openrouter_embeddings.options import Options
from openrouter_embeddings.usage import Usage
from openrouter_embeddings.words import check_known

from .state import ClientState, Streams
from .unpickled import state_of_process

if TYPE_CHECKING:
    from openrouter_embeddings._flows import LearnedLimits

AnyClient = TypeVar("AnyClient", bound="BaseClient")


class BaseClient:
    """What has no colour."""

    def __init__(self, model: str, **options: Unpack[ClientOptions]) -> None:
        check_known(list(options))
        self._state = ClientState(Options(model=model, **options))
        self._streams = Streams()

    @property
    def model(self) -> str:
        """The model's id, as given."""
        return self._state.options.model

    @property
    def gateway(self) -> Gateway:
        """The gateway, at the address that is used."""
        return self._state.gateway()

    @property
    def dimensions(self) -> int | None:
        """The width of the embeddings: as asked for, else as answered so far, else by the profile, else None."""
        return self._state.dimensions

    @property
    def options(self) -> Options:
        """The checked options."""
        return self._state.options

    @property
    def learned(self) -> LearnedLimits:
        """What was found out about the model so far."""
        return self._state.learned

    @property
    def usage(self) -> Usage:
        """What this client, and each that shares with it, has spent since it was made."""
        return self._state.usage

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, gateway={self._state.options.service.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry the configuration: no socket, no lock, no totals. A key from the environment stays there.

        Clients of the same options that are unpickled in one process share everything but their streams.
        """
        options = self._state.options
        if not all(given is None or callable(given) for given in (options.http_client, options.async_http_client)):
            raise ConfigurationError(
                "A client with an httpx client of yours cannot be pickled. Give a function that makes one: http_client=make."
            )
        return (_rebuilt, (type(self), options.given()))

    def __copy__(self) -> Self:
        return client_sharing(type(self), self._state, self._streams)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a client of the same configuration with limits, totals and connections of its own."""
        return client_sharing(type(self), ClientState(self._state.options))


def client_sharing(kind: type[AnyClient], state: ClientState, streams: Streams | None = None) -> AnyClient:
    """Return a client that uses what another has built, and ends its streams, where given, when it is closed."""
    client = kind.__new__(kind)
    client._state = state
    client._streams = streams or Streams()
    return client


def one_per_process(client: AnyClient) -> AnyClient:
    """Return, for a client that was unpickled, one that shares all but streams with those of the same options."""
    return client_sharing(type(client), state_of_process(client._state))


def _rebuilt(kind: type[BaseClient], options: dict[str, Any]) -> BaseClient:
    return one_per_process(kind(**options))
