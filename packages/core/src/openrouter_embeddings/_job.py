"""The state of one call: what was asked, what has landed, what failed and why. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._company import Company, failed_elsewhere
from ._effects import Heard
from ._learned import Learned
from ._plan import Batch, estimated_tokens
from ._quote import quoted
from ._retry import Trouble
from ._wire import Landed
from .errors import EmbeddingError, InputError
from .gateways import ErrorHint
from .inputs import named_positions
from .results import EmbeddingResult, Matrix, Partial
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a call asks for, the same for each of its batches.

    Attributes:
        model: As sent.
        gateway: Its name, for messages.
        fields: The body but for `input` and `encoding_format`.
        prefix: Put before each text.
        encoding: `"auto"`, `"base64"` or `"float"`.
        dimensions: Asked for, or None.
        native_dimensions: The profile's, or None.
        cost_at_top: Whether the gateway puts the cost beside `usage`.
        hints: Errors that mean something else than their status says, at this gateway.
        patience: Seconds that a batch may spend waiting.
        max_retries: Most attempts after the first where the answer is not a plain "wait".
        max_replays: Most further attempts after one that may have been billed.
        timeout: Seconds of one attempt, for messages.
        normalize: Whether to scale each embedding to unit length.
        cuttable: Whether the first `dimensions` numbers of a wider embedding are an embedding by themselves.
        cuts: Whether wider ones may be cut to these.
        on_too_long: What becomes of a text that is too long: `"error"`, `"truncate"` or `"average"`.
        max_tokens: Most tokens of one input, where the profile knows, or None.
        max_cost: USD that the client may spend, or None.
        on_progress: Told how many of how many inputs are done, whenever a batch lands.
    """

    model: str
    gateway: str
    fields: Mapping[str, Any]
    prefix: str
    encoding: str
    dimensions: int | None
    native_dimensions: int | None
    cost_at_top: bool
    hints: Sequence[ErrorHint]
    patience: float
    max_retries: int
    max_replays: int
    timeout: float
    normalize: bool
    cuttable: bool = False
    cuts: bool = False
    on_too_long: str = "error"
    max_tokens: int | None = None
    max_cost: float | None = None
    on_progress: Callable[[int, int], None] | None = None


class Job:
    """One call under way. Flows of the same job may run in several threads: what they share is safe to append to."""

    def __init__(
        self, ask: Ask, learned: Learned, items: Sequence[Any], sizes: Sequence[int], places: Sequence[int]
    ) -> None:
        self.ask = ask
        self.learned = learned
        self.items = items
        """The distinct inputs: texts, or content in its wire form."""
        self.sizes = sizes
        """Their estimated tokens."""
        self.places = places
        """For each of the caller's inputs, which of the distinct ones it is."""
        self.keys: Sequence[bytes] | None = None
        """Their names in the cache, if there is one."""
        self.key_of: Callable[[Any], bytes] | None = None
        """How an input is named there."""
        self.company: Company | None = None
        """The other calls of the client, if this one is not to be alone."""
        self.blank = [at for at, item in enumerate(items) if item == ""]
        """Empty texts, where they are allowed: never sent."""
        self.queue: deque[Batch] = deque()
        self.failures: dict[int, EmbeddingError] = {}
        self.shortened: list[int] = []
        """Texts that were too long, cut or averaged."""
        self._own = len(items)
        self._rows: dict[str, Matrix] = {}
        self._done = np.zeros(len(items), dtype=bool)
        self._spent: list[Usage] = [Usage(deduplicated=len(places) - len(items))]
        self._models: list[str] = []
        self._providers: dict[str, None] = {}
        self._generations: list[str] = []

    def wire_inputs(self, batch: Batch) -> list[Any]:
        """Return a batch's inputs as they go over the wire: text marked by its prefix, content as it is."""
        prefix = self.ask.prefix
        if not prefix:
            return [self.items[one] for one in batch.members]
        return [prefix + item if isinstance(item, str) else item for item in map(self.items.__getitem__, batch.members)]

    def count_request(self, *, retry: bool, replay: bool) -> None:
        """Count a request that left."""
        self._spent.append(Usage(requests=1, retries=int(retry), replays=int(replay)))

    def take_along(self, others: Sequence[str]) -> None:
        """Add other calls' inputs, before anything is sent: they travel with ours."""
        self.items = [*self.items, *others]
        self.sizes = [*self.sizes, *map(estimated_tokens, others)]
        if self.keys is not None and self.key_of is not None:
            self.keys = [*self.keys, *map(self.key_of, others)]
        self._done = np.zeros(len(self.items), dtype=bool)

    def take_over(self, heard: Mapping[int, Heard]) -> list[int]:
        """Take what landed in other calls, and return what they have left to us."""
        left = []
        for member, got in heard.items():
            if isinstance(got, EmbeddingError):
                self.fail([member], failed_elsewhere(got, self.positions([member])))
            elif got is None:
                left.append(member)
            else:
                self._spent.append(Usage(shared=1))
                self.place([member], got[None, :])
        return left

    def keep(self, batch: Batch, landed: Landed) -> None:
        """Put landed rows into their places, at once: whatever fails later, they are kept."""
        self.learned.dimensions = landed.rows.shape[1]
        self.learned.encoding = self.learned.encoding or "base64"
        self._spent.append(landed.usage)
        if landed.provider:
            self._providers[landed.provider] = None
        if landed.generation_id:
            self._generations.append(landed.generation_id)
        if landed.model:
            self._models.append(landed.model)
        self.place(batch.members, landed.rows)
        if self.company is not None:
            self.company.land(batch.members, landed.rows)

    def take(self, members: Sequence[int], known: Mapping[bytes, bytes]) -> None:
        """Put what an earlier call paid for into its places. What has another width than expected is not taken."""
        assert self.keys is not None
        found = [(one, known[key]) for one in members if (key := self.keys[one]) in known]
        if not found:
            return
        width = self.ask.dimensions or self.learned.dimensions or len(found[0][1]) // 4
        found = [(one, row) for one, row in found if len(row) == 4 * width > 0]
        if not found:
            return
        self._spent.append(Usage(cached=len(found)))
        flat = np.frombuffer(b"".join(row for _, row in found), "<f4").astype(np.float32, copy=False)
        self.place([one for one, _ in found], flat.reshape(len(found), width))
        if self.company is not None:
            self.company.land([one for one, _ in found], flat.reshape(len(found), width))

    def for_cache(self, batch: Batch, landed: Landed) -> dict[bytes, bytes]:
        """Return a landed batch as the cache keeps it: as it was received."""
        assert self.keys is not None
        return {self.keys[one]: row.tobytes() for one, row in zip(batch.members, landed.rows, strict=True)}

    def room_for(self, batch: Batch) -> Matrix | None:
        """Return the place of a batch in the one array of the call, where that is in one piece and takes rows as is."""
        rows = self._rows.get("all")
        if rows is None or self.ask.normalize or not _consecutive(batch.members):
            return None
        return rows[batch.members[0] : batch.members[-1] + 1]

    def place(self, members: Sequence[int], rows: Matrix) -> None:
        """Write rows into the one array of the call."""
        if "all" not in self._rows:
            # setdefault is atomic: of two threads that come first, both use the same array.
            self._rows.setdefault("all", np.empty((len(self.items), rows.shape[1]), dtype=np.float32))
        where = slice(members[0], members[-1] + 1) if _consecutive(members) else list(members)
        if rows.base is not self._rows["all"]:  # else they stand there already
            self._rows["all"][where] = unit_length(rows) if self.ask.normalize else rows
        self._done[where] = True
        if self.ask.on_progress is not None:
            done = np.count_nonzero(self._done[np.asarray(self.places)])
            self.ask.on_progress(int(done), len(self.places))

    def zero(self, members: Sequence[int], width: int | None) -> None:
        """Give inputs that are never sent a zero embedding; before any answer the width must be known."""
        if members and "all" not in self._rows:
            if not width:
                raise InputError("All inputs are empty and the width is not known. Set dimensions.", positions=members)
            self._rows["all"] = np.empty((len(self.items), width), dtype=np.float32)
        for one in members:
            self._rows["all"][one] = 0.0
            self._done[one] = True

    def fail(self, members: Sequence[int], error: EmbeddingError) -> None:
        """Remember why inputs have no embedding."""
        for one in members:
            self.failures[one] = error

    @property
    def landed_any(self) -> bool:
        """Whether the gateway has answered anything rightly, in this call or an earlier one."""
        return self.learned.dimensions is not None

    def suspects(self, members: Sequence[int]) -> set[int]:
        """Return which texts may be too long, where these are to be shortened: they are best sent alone."""
        most = self.ask.max_tokens
        if self.ask.on_too_long == "error" or most is None:
            return set()
        return {one for one in members if self.sizes[one] > most}

    def landed(self) -> dict[int, Matrix]:
        """Return the rows that have landed, by input."""
        return {int(one): self._rows["all"][one] for one in np.flatnonzero(self._done)}

    def absorb(self, inner: Job) -> None:
        """Count what a job within this one has spent, and who served it."""
        self._spent.append(inner.usage())
        self._providers |= inner._providers
        self._generations += inner._generations
        self._models += inner._models

    def missing(self) -> list[int]:
        """Return the distinct inputs that have no embedding yet and need one from the gateway."""
        lacking = np.flatnonzero(~self._done).tolist()
        return lacking if not self.blank else [one for one in lacking if one not in self.blank]

    def first_failure(self) -> EmbeddingError | None:
        """Return why the first of our own inputs that has no embedding has none."""
        return next((error for one, error in self.failures.items() if one < self._own), None)

    def usage(self) -> Usage:
        """Return what the call has spent so far."""
        return sum(list(self._spent), Usage())

    def result(self) -> EmbeddingResult:
        """Return every embedding in input order."""
        self.zero(self.blank, self.ask.dimensions or self.learned.dimensions or self.ask.native_dimensions)
        return EmbeddingResult(
            embeddings=self._in_input_order(),
            model=self._model(),
            usage=self.usage(),
            providers=tuple(self._providers),
            generation_ids=tuple(self._generations),
            shortened=tuple(self.positions(self.shortened)) if self.shortened else (),
        )

    def landed_positions(self) -> list[int]:
        """Return the positions that have an embedding."""
        done = self._done if len(self.places) == len(self.items) else self._done[np.asarray(self.places)]
        return [int(at) for at in np.flatnonzero(done[: len(self.places)])]

    def positions(self, members: Sequence[int]) -> list[int]:
        """Return the positions in the caller's inputs at which these distinct inputs stand, ascending."""
        if len(self.places) == len(self.items):
            return sorted(members)
        wanted = set(members)
        return [at for at, place in enumerate(self.places) if place in wanted]

    def error(self, trouble: Trouble, members: Sequence[int], *, attempts: int) -> EmbeddingError:
        """Return the error that names what happened, where, and the way out."""
        said = trouble.said
        positions = self.positions(members)
        safe = quoted(said.message, self.items) if said else ""
        tries = f", {attempts} attempts" if attempts > 1 else ""
        inputs = named_positions(positions).lower() if positions else "an input of another call, none"
        where = f"at {self.ask.gateway}: model {self.ask.model!r}, {inputs} of {len(self.places)}{tries}"
        says = f" It says: {safe!r}." if safe else ""
        return trouble.kind(
            f"{trouble.what} {where}.{says} {trouble.hint}",
            status=said.status if said else None,
            code=said.code if said else None,
            error_type=(said.error_type or said.availability) if said else None,
            provider=said.provider if said else None,
            generation_id=said.generation_id if said else None,
            retry_after=trouble.retry_after,
            retryable=said.retryable if said else None,
            model=self.ask.model,
            positions=positions,
        )

    def with_partial(self, error: EmbeddingError) -> EmbeddingError:
        """Return the error that reaches the caller: the cause, with everything that landed riding on it."""
        lost = self.missing()
        causes = {one: self.failures.get(one, error) for one in lost}
        at = self.places
        if "all" in self._rows:
            self._rows["all"][~self._done] = np.nan
        partial = Partial(
            embeddings=self._in_input_order(),
            positions_done=tuple(i for i, place in enumerate(at) if self._done[place]),
            positions_failed={i: causes[place] for i, place in enumerate(at) if not self._done[place]},
            usage=self.usage(),
            model=self._model(),
        )
        message = error.message
        if partial.positions_done:
            message += (
                f" {len(partial.positions_done):,} of {len(at):,} embeddings landed and are in .partial."
                " Pass resume=error.partial to embed only the rest."
            )
        named = type(error)(message)
        named.__dict__.update(error.__dict__)
        named.partial = partial
        if any(error is one for one in self.failures.values()):
            named.positions = tuple(self.positions(list(self.failures)))
        return named

    def _in_input_order(self) -> Matrix:
        rows = self._rows.get("all")
        if rows is None:
            return np.full((len(self.places), self.learned.dimensions or 0), np.nan, dtype=np.float32)
        return rows if len(self.places) == len(self.items) else rows[np.asarray(self.places)]

    def _model(self) -> str:
        return self._models[0] if self._models else self.ask.model


def unit_length(rows: Matrix) -> Matrix:
    """Return the rows scaled to unit length."""
    scaled: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def _consecutive(members: Sequence[int]) -> bool:
    return members[-1] - members[0] == len(members) - 1
