"""The live checks of both colours of a client. What they do is told in `_flow_checks` and `_flow_check_model`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from .checks import ConsistencyCheck, ModelCheck

if TYPE_CHECKING:
    from ._client_shared import Shared
    from ._effects import Flow
    from ._flow_checks import Inquiry
    from .inputs import Input

T = TypeVar("T")


def _inquiry(shared: Shared) -> Inquiry:
    from ._flow_checks import Inquiry  # loads numpy: with the first request, not with the import

    shared.options.key()  # without one there is nothing to check
    return Inquiry(shared.options, shared.gateway())


def _run(shared: Shared, inquiry: Inquiry, flow: Flow[T]) -> T:
    from ._drive import drive

    try:
        return drive(flow, shared.world())
    finally:
        shared.add(inquiry.usage())


async def _arun(shared: Shared, inquiry: Inquiry, flow: Flow[T]) -> T:
    from ._drive import adrive

    try:
        return await adrive(flow, shared.world())
    finally:
        shared.add(inquiry.usage())


class Checks:
    """The checks of `Client`."""

    _shared: Shared

    def check_model(self) -> ModelCheck:
        """Try the model with a handful of tiny live requests, and hold what it does against its profile.

        What fails is a finding. The cache is neither asked nor filled.

        Raises:
            AuthenticationError: The key was refused.
            InsufficientCreditsError: No credit is left.
            BudgetExceededError: A request would pass `max_cost`.
        """
        from ._flow_check_model import model_check

        inquiry = _inquiry(self._shared)
        return _run(self._shared, inquiry, model_check(inquiry))

    def check_consistency(self, texts: Iterable[Input] | None = None) -> ConsistencyCheck:
        """Embed the same texts, as documents, through each provider of the model, and compare the embeddings.

        Providers are pinned one by one; the client's own preferences narrow the list and hold otherwise. A provider
        that fails is a row of the result. The cache is neither asked nor filled.

        Args:
            texts: None: eight short ones of several languages and kinds.

        Raises:
            InputError: A text cannot be embedded, or there is none.
            ConfigurationError: The gateway lists no providers, or the preferences leave none.
            ModelNotFoundError: The gateway does not know the model.
            AuthenticationError: The key was refused.
            InsufficientCreditsError: No credit is left.
            BudgetExceededError: A request would pass `max_cost`.
        """
        from ._flow_checks import consistency

        inquiry = _inquiry(self._shared)
        return _run(self._shared, inquiry, consistency(inquiry, texts))


class AsyncChecks:
    """The checks of `AsyncClient`."""

    _shared: Shared

    async def check_model(self) -> ModelCheck:
        """Try the model, and hold what it does against its profile. See `Client.check_model`."""
        from ._flow_check_model import model_check

        inquiry = _inquiry(self._shared)
        return await _arun(self._shared, inquiry, model_check(inquiry))

    async def check_consistency(self, texts: Iterable[Input] | None = None) -> ConsistencyCheck:
        """Compare the embeddings of the model's providers. See `Client.check_consistency`."""
        from ._flow_checks import consistency

        inquiry = _inquiry(self._shared)
        return await _arun(self._shared, inquiry, consistency(inquiry, texts))
