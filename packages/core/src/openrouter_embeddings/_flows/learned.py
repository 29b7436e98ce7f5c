"""What a client finds out about its model. Nothing is learnt from one answer, and everything is forgotten again.

A batch limit needs a refused batch and two halves of it that landed, or a refusal that names the number; then, every so
many full batches, one of twice the size is tried. That floats are needed takes a refusal of base64 that says so, or two
empty answers; then base64 is tried again every so many answers. Another width than before takes two answers in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import Profile

SAFE_INPUTS = 64
SAFE_TOKENS = 100_000
"""What any upstream takes, where nothing is known of the model's own limits. See docs/models-and-sides.md."""
MAX_INPUTS = 256
"""More inputs a request buy no speed and cost memory; measured with 16 requests in flight."""
_TRY_AFTER = 32
_TRY_AFTER_MAX = 128
_FLOATS_UNTIL = 256


class BatchLimits(NamedTuple):
    """How much one request may hold."""

    inputs: int
    tokens: int


@dataclass(slots=True)
class _Growth:
    """When a batch larger than what is known to be taken may be tried: ever more rarely, one at a time."""

    after: int = _TRY_AFTER
    full_batches: int = 0
    trying: bool = False

    def is_due(self) -> bool:
        return self.full_batches >= self.after and not self.trying

    def begin_again(self, *, more_rarely: bool) -> None:
        self.full_batches, self.trying = 0, False
        if more_rarely:
            self.after = min(_TRY_AFTER_MAX, self.after * 2)


class LearnedLimits:
    """What one client knows of its model by now; shared by all its calls, threads and loops.

    Args:
        encoding: `"base64"` or `"float"` where there is nothing to find out, else None.
        initial: What a request may hold at the start, and never more.
    """

    def __init__(self, *, encoding: str | None, initial: BatchLimits) -> None:
        self._fixed_encoding = encoding
        self._base64_known = False
        self._base64_refusals = 0
        self._floats_landed = 0
        self._floats_until = _FLOATS_UNTIL
        self._initial = initial
        self._limits = initial
        self._growth = _Growth()
        self._unexplained: int | None = None
        """The largest part that landed of a batch refused for no reason that could be found."""
        self.dimensions: int | None = None
        """The width of the answers so far; None before the first."""
        self._other_width: int | None = None
        self.reached = False
        """Whether the gateway has answered anything at all: then it is worth waiting for."""
        self.landed_any = False
        """Whether it has answered anything rightly."""

    @classmethod
    def initial(cls, options: Options, profile: Profile) -> LearnedLimits:
        """Return what is known of a model before its first answer."""
        encoding = options.encoding_format if options.encoding_format != "auto" else None
        limits = BatchLimits(
            inputs=options.batch_size or min(MAX_INPUTS, profile.max_inputs or SAFE_INPUTS),
            tokens=options.batch_tokens or profile.max_request_tokens or SAFE_TOKENS,
        )
        return cls(encoding=encoding if profile.base64 else encoding or "float", initial=limits)

    # --------------------------------------------------------------------------------------------------- encoding

    @property
    def encoding(self) -> str | None:
        """`"base64"` or `"float"` once known; None while the first answer is awaited."""
        if self._fixed_encoding is not None:
            return self._fixed_encoding
        if self._needs_floats():
            return "float"
        return "base64" if self._base64_known else None

    @property
    def base64_was_refused(self) -> bool:
        """Whether base64 was refused, or answered with nothing, since it last came."""
        return self._base64_refusals > 0

    def encoding_to_ask_for(self) -> str:
        """Return the encoding to ask for now."""
        if self._fixed_encoding is not None:
            return self._fixed_encoding
        return "float" if self._needs_floats() else "base64"

    def base64_refused(self, *, in_words: bool) -> None:
        """Note that base64 was refused, or answered with nothing.

        Args:
            in_words: Whether the refusal spoke of the encoding: that is said once only.
        """
        if self._floats_landed >= self._floats_until:
            self._floats_until *= 2  # it was tried again, in vain
        self._base64_refusals += 2 if in_words else 1
        self._floats_landed = 0

    def _needs_floats(self) -> bool:
        return self._base64_refusals >= 2 and self._floats_landed < self._floats_until

    # ------------------------------------------------------------------------------------------------------ width

    def accepts_width(self, width: int) -> bool:
        """Return whether an answer may be this wide: as those before it, or as the last one that was not believed."""
        if self.dimensions in {None, width} or width == self._other_width:
            self.dimensions, self._other_width = width, None
            return True
        self._other_width = width
        return False

    # ------------------------------------------------------------------------------------------------ batch limits

    @property
    def max_inputs(self) -> int:
        """Most inputs a request may hold, as far as known."""
        return self._limits.inputs

    @property
    def max_tokens(self) -> int:
        """Most estimated tokens a request may hold."""
        return self._limits.tokens

    def limits(self) -> BatchLimits:
        """Return what a request is known to be able to hold."""
        return self._limits

    def limits_to_try(self) -> BatchLimits:
        """Return how much the next request may hold: twice as much as is known where a try is due."""
        if not self._try_is_due():
            return self._limits
        doubled = (min(2 * known, initial) for known, initial in zip(self._limits, self._initial, strict=True))
        return BatchLimits(*doubled)

    def try_begins(self) -> None:
        """Note that a batch larger than what is known to be taken is about to be sent."""
        self._growth.trying = True

    def _try_is_due(self) -> bool:
        return self._limits != self._initial and self._growth.is_due()

    def limit_named(self, inputs: int) -> None:
        """Note that a refusal named the most inputs of a request."""
        self._limits = self._limits._replace(inputs=max(1, min(self._limits.inputs, inputs)))
        self._growth.begin_again(more_rarely=self._growth.trying)

    def size_refused(self, *, count: int, tokens: int, by_tokens: bool) -> None:
        """Note that a batch was refused whose halves have landed: its size was at fault."""
        if by_tokens:
            self._limits = self._limits._replace(tokens=max(1, min(self._limits.tokens, tokens // 2)))
        else:
            self._limits = self._limits._replace(inputs=max(1, min(self._limits.inputs, (count + 1) // 2)))
        self._growth.begin_again(more_rarely=self._growth.trying)

    def refused_as_a_whole(self, *, largest_landed: int) -> None:
        """Note that a batch was refused, of which every part has landed: for its size, or in passing.

        Twice in a row, with no larger batch landed meanwhile, it was the size.
        """
        if self._unexplained is not None:
            self.limit_named(max(largest_landed, self._unexplained))
            self._unexplained = None
        else:
            self._unexplained = largest_landed

    def try_ended(self) -> None:
        """Note that a batch that was a try is through: if it has not landed, the next one comes later."""
        if self._growth.trying:
            self._growth.begin_again(more_rarely=True)

    def landed(self, *, count: int, tokens: int, was_base64: bool) -> None:
        """Note a right answer to so many inputs."""
        self.landed_any = True
        if was_base64:
            self._base64_known, self._base64_refusals, self._floats_until = True, 0, _FLOATS_UNTIL
        else:
            self._floats_landed += 1
        if self._unexplained is not None and count > self._unexplained:
            self._unexplained = None
        if self._limits == self._initial:
            return
        if count > self._limits.inputs or tokens > self._limits.tokens:
            self._limits = BatchLimits(max(count, self._limits.inputs), max(tokens, self._limits.tokens))
            self._growth = _Growth(after=1)  # what was let in twice as large may well be let in larger still
        elif count == self._limits.inputs or tokens * 2 > self._limits.tokens:
            self._growth.full_batches += 1
