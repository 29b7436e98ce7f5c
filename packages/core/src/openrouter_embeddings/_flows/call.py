"""The state of one call: what was asked, what has landed, what failed and why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings._protocol import BatchResult, Diagnosis
from openrouter_embeddings.errors import RESUME_HINT, EmbeddingError, InputError, Partial
from openrouter_embeddings.results import EmbeddingResult
from openrouter_embeddings.usage import Usage

from .batches import Batch, BatchQueue
from .distinct import DistinctInputs
from .effects import Flow
from .elsewhere import Elsewhere
from .inflight import CallShare, SharedOutcome
from .learned import LearnedLimits
from .outcome import Outcome
from .progress import ProgressReports
from .rows import RowTable
from .settings import CallSettings
from .workers import Workers


class EmbedCall:
    """One call under way. Flows of the same call may run in several threads.

    Args:
        settings: What it asks for.
        learned: What the client knows of its model.
        inputs: What to embed.
        count: Told each bit of usage at once.
        share: The call among the others of its client, or None: it is alone.
        key_of: What names an input in the cache, or None: there is none.
    """

    def __init__(
        self,
        settings: CallSettings,
        learned: LearnedLimits,
        inputs: DistinctInputs,
        *,
        count: Callable[[Usage], None] | None = None,
        share: CallShare | None = None,
        key_of: Callable[[Any], bytes] | None = None,
    ) -> None:
        self.settings = settings
        self.learned = learned
        self.inputs = inputs
        self.share = share
        self.key_of = key_of
        self.count = count
        self.keys = [key_of(item) for item in inputs.items] if key_of is not None else None
        self.rows = RowTable(len(inputs), normalize=settings.normalize)
        self.outcome = Outcome(settings, count)
        self.queue = BatchQueue((), inputs.sizes, learned)
        self.failures: dict[int, EmbeddingError] = {}
        self.out_of_time = False
        """Whether the call's own time has cut a wait or an exchange short: no concern of the calls that share inputs."""
        self.shared_failure: EmbeddingError | None = None
        """What ended another call that had an equal input in flight: no fault of the input."""
        self.elsewhere = Elsewhere()
        self.empty_inputs = [index for index, item in enumerate(inputs.items) if item == ""]
        """Empty texts, where they are allowed: never sent."""
        self.workers = Workers(settings.max_concurrency)
        tell = settings.on_progress
        self._progress = ProgressReports(tell, inputs.index_of_position) if tell is not None else None
        self._note_done(self.empty_inputs)
        duplicates = len(inputs.index_of_position) - len(inputs)
        if duplicates:
            self.outcome.spend(Usage(deduplicated=duplicates))

    def next_worker(self) -> Flow[None] | None:
        """Return one more worker, as a request leaves, where batches are left."""
        return self.workers.next(wanted=bool(self.queue))

    # ----------------------------------------------------------------------------------------------------- inputs

    def wire_inputs(self, batch: Batch) -> list[Any]:
        """Return a batch's inputs as they go over the wire: text marked by its prefix, content as it is."""
        prefix, items = self.settings.prefix, self.inputs.items
        if not prefix:
            return [items[member] for member in batch.members]
        return [prefix + item if isinstance(item, str) else item for item in map(items.__getitem__, batch.members)]

    def probably_too_long(self, members: Sequence[int]) -> set[int]:
        """Return which texts may be too long, where these are to be shortened: they are best sent alone."""
        most = self.settings.max_tokens
        if self.settings.on_too_long == "error" or most is None:
            return set()
        return {member for member in members if self.inputs.sizes[member] > most}

    def unresolved(self) -> list[int]:
        """Return the distinct inputs that have neither an embedding nor an error yet, and need one."""
        lacking = self.rows.unfilled()
        if not self.empty_inputs and not self.failures:
            return lacking
        settled = {*self.empty_inputs, *self.failures}
        return [index for index in lacking if index not in settled]

    # ------------------------------------------------------------------------------------------------ what landed

    def record(self, batch: Batch, result: BatchResult) -> None:
        """Keep what landed, at once, and hand it to the calls that wait for it: whatever fails later, it is kept."""
        count, tokens = len(batch), batch.tokens
        self.learned.landed(count=count, tokens=tokens, was_base64=result.was_base64)
        self.outcome.record(result)
        self.rows.write(batch.members, result.rows)
        if self.share is not None:
            self.share.publish(batch.members, result.rows, until_kept=self.keys is not None)

    def record_row(self, member: int, row: Matrix) -> None:
        """Keep the embedding of a text that was shortened."""
        self.outcome.shortened.append(member)
        self.rows.write([member], row[None, :])
        if self.share is not None:
            self.share.publish([member], row[None, :], shortened=[member])
        self.report_done([member])

    def for_cache(self, batch: Batch, result: BatchResult) -> dict[bytes, bytes]:
        """Return a landed batch as the cache keeps it: as it was received."""
        assert self.keys is not None
        return {self.keys[member]: row.tobytes() for member, row in zip(batch.members, result.rows, strict=True)}

    def take_resumed(self, members: Sequence[int], rows: Matrix) -> None:
        """Take what an earlier, failed call paid for. The first report of this one counts it."""
        self.rows.write(members, rows)
        self._note_done(members)

    def take_cached(self, members: Sequence[int], known: Mapping[bytes, bytes]) -> None:
        """Take what an earlier call paid for. What has another width than is expected is not taken."""
        assert self.keys is not None
        found = [(member, known[self.keys[member]]) for member in members if self.keys[member] in known]
        if not found:
            return
        width = self.settings.dimensions or self.rows.dimensions or self.learned.dimensions or len(found[0][1]) // 4
        found = [(member, row) for member, row in found if len(row) == 4 * width > 0]
        if not found:
            return
        self.outcome.spend(Usage(cached=len(found)))
        flat = np.frombuffer(b"".join(row for _, row in found), "<f4").astype(np.float32, copy=False)
        rows, taken = flat.reshape(len(found), width), [member for member, _ in found]
        self.rows.write(taken, rows)
        if self.share is not None:
            self.share.publish(taken, rows)
        self.report_done(taken)

    def adopt_shared(self, outcomes: Mapping[int, SharedOutcome]) -> list[int]:
        """Take what landed in other calls, and return what they have left to us."""
        left, taken = [], []
        for member, outcome in outcomes.items():
            if isinstance(outcome, EmbeddingError):
                words = f"Another call had an equal input in flight, and it failed: {outcome.message}"
                self.shared_failure = outcome.reworded(words, positions=self.inputs.positions([member]))
                self.fail([member], self.shared_failure)
            elif outcome is None or (self.rows.dimensions or len(outcome)) != len(outcome):
                left.append(member)
            else:
                self.outcome.spend(Usage(shared=1))
                self.rows.write([member], outcome[None, :])
                taken.append(member)
                if self.share is not None and member in self.share.shortened:
                    self.outcome.shortened.append(member)
        self.report_done(taken)
        return sorted(left)

    def fail(self, members: Sequence[int], error: EmbeddingError) -> None:
        """Remember why inputs have no embedding."""
        self.failures |= dict.fromkeys(members, error)

    def _note_done(self, members: Sequence[int]) -> None:
        """Count inputs that cost nothing, for the next report."""
        if self._progress is not None:
            self._progress.note(members)

    def report_done(self, members: Sequence[int]) -> None:
        """Tell the caller how many inputs are done, now that these are."""
        if self._progress is not None:
            self._progress.report(members)

    # ------------------------------------------------------------------------------------------------------- ends

    def result(self) -> EmbeddingResult:
        """Return every embedding in input order."""
        self._settle_empty()
        self.report_done(())  # where nothing had to be sent, nothing has been told yet
        outcome, index_of_position = self.outcome, self.inputs.index_of_position
        some_missing = bool(self.failures or self.empty_inputs)
        return EmbeddingResult(
            embeddings=self.rows.in_order_of(index_of_position, dimensions=(self._width() or 0) if some_missing else 0),
            model=outcome.model,
            usage=outcome.usage,
            providers=outcome.providers,
            generation_ids=tuple(outcome.generation_ids),
            shortened=tuple(self.inputs.positions(outcome.shortened)) if outcome.shortened else (),
            errors=self._failures_by_position() if self.failures else {},
            missing_positions=tuple(self.inputs.positions(self.rows.unfilled())) if some_missing else (),
        )

    def _failures_by_position(self) -> dict[int, EmbeddingError]:
        failures = self.failures
        return {at: failures[index] for at, index in enumerate(self.inputs.index_of_position) if index in failures}

    def _settle_empty(self) -> None:
        """Give empty texts their zeros, if they are to have them, or the error that there is no width."""
        if self._write_zeros() or self.settings.on_empty != "zero":
            return
        positions = self.inputs.positions(self.empty_inputs)
        error = InputError("All inputs are empty and the width is not known. Set dimensions.", positions=positions)
        if self.settings.on_error == "raise":
            raise error
        self.fail(self.empty_inputs, error)

    def _write_zeros(self) -> bool:
        """Give empty texts their zeros, if they are to have them; return whether none lacks them."""
        if not self.empty_inputs:
            return True
        if self.settings.on_empty != "zero" or not (width := self._width()):
            return False
        self.rows.write_zeros(self.empty_inputs, width)
        return True

    def _width(self) -> int | None:
        settings = self.settings
        return self.rows.dimensions or settings.dimensions or self.learned.dimensions or settings.native_dimensions

    def cause_to_raise(self) -> EmbeddingError | None:
        """Return why the call is to fail though nothing has ended it: inputs without an embedding, or None."""
        if self.failures and self.settings.on_error == "raise":
            return next(iter(self.failures.values()))
        return self.shared_failure

    def error(self, diagnosis: Diagnosis, members: Sequence[int], *, attempts: int = 1) -> EmbeddingError:
        """Return the error for some of the distinct inputs."""
        inputs = self.inputs
        sent = [inputs.items[member] for member in members]
        total = len(inputs.index_of_position)
        return self.outcome.error(diagnosis, sent, inputs.positions(members), total=total, attempts=attempts)

    def partial(self, error: EmbeddingError) -> Partial:
        """Return what has landed, and why the rest has not: for causes of their own, or for this error."""
        self._write_zeros()
        filled, index_of_position = self.rows.filled, self.inputs.index_of_position
        unsent = set(self.empty_inputs)
        return Partial(
            embeddings=self.rows.in_order_of(index_of_position, dimensions=self.learned.dimensions or 0),
            positions_done=tuple(at for at, index in enumerate(index_of_position) if filled[index]),
            positions_failed={
                at: self.failures.get(index, error)
                for at, index in enumerate(index_of_position)
                if not filled[index] and index not in unsent
            },
            usage=self.outcome.usage,
            model=self.outcome.model,
            fingerprint=self.fingerprint(),
            shortened=tuple(self.inputs.positions(self.outcome.shortened)),
        )

    def with_partial(self, error: EmbeddingError) -> EmbeddingError:
        """Return the error that reaches the caller: the cause, with everything that landed riding on it."""
        partial = self.partial(error)
        message = error.message
        unsent = set(self.inputs.positions(self.empty_inputs)) if self.empty_inputs else ()
        landed = sum(position not in unsent for position in partial.positions_done)
        if landed:
            total = len(self.inputs.index_of_position)
            message += f" {landed:,} of {total:,} embeddings landed and are in .partial. {RESUME_HINT}"
        named = error.reworded(message, partial=partial)
        if self.settings.on_error == "raise" and any(error is failure for failure in self.failures.values()):
            named.positions = tuple(self.inputs.positions(list(self.failures)))
        return named

    def fingerprint(self) -> bytes:
        """Return a hash of the inputs, the model, the marking and the width: of what a partial result belongs to."""
        settings = self.settings
        facts = (settings.fields["model"], settings.fields.get("input_type"), settings.prefix, settings.dimensions)
        state = hashlib.sha256(repr(facts).encode(errors="surrogatepass"))
        digests = [hashlib.sha256(repr(name).encode(errors="surrogatepass")).digest() for name in self.inputs.names]
        for index in self.inputs.index_of_position:
            state.update(digests[index])
        return state.digest()
