"""The story of a model check: a handful of tiny live requests, each of which answers several questions. Pure.

One text goes out unmarked, twice. One batch holds it again among many others, and once behind each prefix. Then one
request for each value of `input_type`, and one for a shorter width. `_Seen` keeps what was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ._effects import Failure, Flow, Reply, Send
from ._flow_checks import ENDS_A_CHECK, PROBES, Inquiry, answered, cosines
from ._learned import Learned
from ._limits import Signal
from ._plan import MOST_INPUTS
from ._prepare import marking
from ._wire import merged
from .checks import DIFFERS, FAILED, OK, UNKNOWN, Finding, ModelCheck
from .errors import EmbeddingError, InvalidRequestError, ModelNotFoundError
from .inputs import InputType
from .options import Options
from .profiles import UNKNOWN as NO_PROFILE
from .profiles import Marking, Profile
from .results import EmbeddingResult, Matrix

T = TypeVar("T")
_SIDES: tuple[InputType, InputType] = ("query", "document")
_TEXT = PROBES[0]
_SAME = 1e-6
"""How far a cosine may fall short of 1 between two answers that count as one."""
_BATCH_SAME = 1e-4
"""In a batch sums are taken in another order, at some hosts in half precision."""
_UNIT = 1e-3
_BASE64 = re.compile(rb'"embedding"\s*:\s*"')
_REFUSED = (InvalidRequestError, ModelNotFoundError)
"""How a parameter that no provider takes is answered."""


@dataclass(slots=True)
class _Seen:
    """What was found out so far."""

    inquiry: Inquiry
    findings: list[Finding] = field(default_factory=list)
    results: list[EmbeddingResult] = field(default_factory=list)
    learned: Learned = field(init=False)
    in_base64: bool = False
    noise: float = 0.0
    marked: dict[InputType, Matrix] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        return self.inquiry.profile

    def note(self, name: str, verdict: str, detail: str) -> None:
        self.findings.append(Finding(name=name, verdict=verdict, detail=detail))

    def fail(self, name: str, error: EmbeddingError) -> None:
        if isinstance(error, ENDS_A_CHECK):
            raise error
        self.note(name, FAILED + type(error).__name__, error.message)

    def changes(self, cosine: float) -> bool:
        """Say whether a cosine tells of more than noise."""
        return not 1.0 - cosine <= _SAME + 4.0 * self.noise


def judged(expected: bool | None, found: bool) -> str:
    """Return the verdict on a fact that the profile states, or says nothing of (None)."""
    if expected is None:
        return OK if found else UNKNOWN
    return OK if found == expected else DIFFERS


def cosine(first: Matrix, second: Matrix) -> float:
    """Return the cosine of two embeddings; of two widths there is none, which is 0."""
    return float(cosines(first[None], second[None])[0]) if first.shape == second.shape else 0.0


def model_check(inquiry: Inquiry) -> Flow[ModelCheck]:
    """Try the model, and hold what it does against its profile."""
    seen = _Seen(inquiry)
    try:
        alone = yield from _ask(seen, [_TEXT])
    except EmbeddingError as error:
        seen.fail("answers", error)
    else:
        _first(seen, alone)
        yield from _again(seen, alone.embeddings[0])
        yield from _batch(seen, alone.embeddings[0])
        yield from _input_types(seen, alone.embeddings[0])
        for side in _SIDES:
            _side(seen, side, alone.embeddings[0])
        yield from _dimensions(seen, alone.dimensions)
        _providers(seen)
    return ModelCheck(
        model=inquiry.given.model,
        gateway=inquiry.gateway.name,
        profile=inquiry.profile.family,
        findings=tuple(seen.findings),
        usage=inquiry.usage(),
    )


def unmarked(options: Options) -> Options:
    """Return options that send a text as it is, at the model's own width, in base64 if it can be had."""
    return replace(
        options,
        query_input_type="",
        document_input_type="",
        query_prefix="",
        document_prefix="",
        dimensions=None,
        dimensions_fallback=False,
        encoding_format="auto",
        batch_size=None,
        batch_tokens=None,
    )


def _ask(seen: _Seen, texts: Sequence[str], *, most: int | None = None, **changed: Any) -> Flow[EmbeddingResult]:
    """Embed texts unmarked, but for the options that are changed."""
    options = replace(unmarked(seen.inquiry.options), **changed)
    learned = seen.inquiry.lessons(options)
    learned.encoding = seen.learned.encoding if seen.results else None
    learned.max_inputs = most or learned.max_inputs
    seen.learned = learned
    result = yield from overheard(answered(seen.inquiry.job(options, texts, learned)), seen)
    seen.results.append(result)
    return result


def overheard(flow: Flow[T], seen: _Seen) -> Flow[T]:
    """Run a flow, and look at each answer before it is read: afterwards nobody knows whether it was base64."""
    answer: Any = None
    try:
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result
            answer = yield _listening(effect, seen) if isinstance(effect, Send) else effect
    finally:
        flow.close()


def _listening(effect: Send[Any], seen: _Seen) -> Send[Any]:
    def read(answer: Reply | Failure) -> tuple[Any, Signal]:
        seen.in_base64 = isinstance(answer, Reply) and _BASE64.search(answer.body) is not None
        return effect.read(answer)

    return replace(effect, read=read)


def _first(seen: _Seen, alone: EmbeddingResult) -> None:
    """Read what the first answer tells."""
    profile, known = seen.profile, seen.profile is not NO_PROFILE
    seen.note("answers", OK, f"as {alone.model}")
    native = profile.native_dimensions
    says = "the profile names none" if native is None else f"the profile says {native}"
    verdict = UNKNOWN if native is None else judged(True, alone.dimensions == native)
    seen.note("native dimensions", verdict, f"{alone.dimensions}; {says}")
    how = "honoured" if seen.in_base64 else "refused, floats are asked for" if seen.learned.encoding == "float" else ""
    expected = profile.base64 if known else None
    seen.note("base64", judged(expected, seen.in_base64), how or "floats came back")
    length = float(np.linalg.norm(alone.embeddings[0].astype(np.float64)))
    seen.note("normalised", judged(profile.normalized, abs(length - 1.0) <= _UNIT), f"length {length:.4f}")


def _again(seen: _Seen, alone: Matrix) -> Flow[None]:
    """Ask for the same once more: the difference, if any, is the noise that all else is measured by."""
    try:
        again = yield from _ask(seen, [_TEXT])
    except EmbeddingError as error:
        return seen.fail("deterministic", error)
    if again.usage.server_cached:
        detail = "the gateway's own cache answered; check with a client without server_cache"
        return seen.note("deterministic", UNKNOWN, detail)
    row = again.embeddings[0]
    found = cosine(alone, row)
    seen.noise = max(0.0, 1.0 - found)
    detail = "the same to the bit" if np.array_equal(alone, row) else f"cosine {found:.6f} to the first answer"
    return seen.note("deterministic", judged(True, 1.0 - found <= _SAME), detail)


def _batch(seen: _Seen, alone: Matrix) -> Flow[None]:
    """Ask for as many texts as a request may hold, the first one and its marked forms among them."""
    limit = seen.profile.max_inputs
    most = min(MOST_INPUTS, limit or MOST_INPUTS)
    marks = _marks(seen)
    prefixes = list(dict.fromkeys(mark.prefix for mark in marks.values() if mark.prefix and not mark.input_type))
    firsts = [_TEXT, *(prefix + _TEXT for prefix in prefixes)]
    texts = [*firsts, *(f"text {number}" for number in range(most - len(firsts)))]
    try:
        result = yield from _ask(seen, texts, most=most)
    except EmbeddingError as error:
        return seen.fail("batch", error)
    found = cosine(alone, result.embeddings[0])
    same = 1.0 - found <= _BATCH_SAME + 4.0 * seen.noise
    seen.note("batch equals single", judged(True, same), f"cosine {found:.6f}")
    accepted = seen.learned.max_inputs
    detail = (
        f"{accepted} inputs in a request" if accepted >= most else f"{accepted} inputs at most, {most} were refused"
    )
    seen.note("batch size", judged(True if limit else None, accepted >= most), detail)
    for side, mark in marks.items():
        if mark.prefix in prefixes and not mark.input_type:
            seen.marked[side] = result.embeddings[1 + prefixes.index(mark.prefix)]
    return None


def _marks(seen: _Seen) -> dict[InputType, Marking]:
    """Return how the client marks each side."""
    return {side: marking(seen.inquiry.options, seen.profile, side) for side in _SIDES}


def _set_by_user(options: Options) -> bool:
    return bool(options.query_input_type or options.document_input_type)


def _input_types(seen: _Seen, alone: Matrix) -> Flow[None]:
    """Ask with each value of `input_type` that is sent, or one that is documented, and see whether it is heard."""
    marks = _marks(seen)
    values: dict[InputType, str] = {side: mark.input_type for side, mark in marks.items() if mark.input_type}
    expected = bool(values) if seen.profile is not NO_PROFILE or _set_by_user(seen.inquiry.options) else None
    documented = seen.inquiry.gateway.input_types
    if not values and documented is not None:
        values = {"query": documented[0]}
    if not values:
        return seen.note("input_type", UNKNOWN, "none is sent, and no value is documented")
    rows: dict[InputType, Matrix] = {}
    for side, value in values.items():
        prefix = marks[side].prefix if marks[side].input_type else ""
        try:
            result = yield from _ask(seen, [_TEXT, prefix + _TEXT], document_input_type=value)
        except _REFUSED as error:
            verdict = DIFFERS if expected else OK if expected is False else UNKNOWN
            return seen.note("input_type", verdict, f"{value!r} is refused ({type(error).__name__})")
        except EmbeddingError as error:
            return seen.fail("input_type", error)
        rows[side] = result.embeddings[0]
        if marks[side].input_type:
            seen.marked[side] = result.embeddings[1]
    return _hearing(seen, alone, rows, values, expected)


def _hearing(
    seen: _Seen,
    alone: Matrix,
    rows: Mapping[InputType, Matrix],
    values: Mapping[InputType, str],
    expected: bool | None,
) -> None:
    found = {side: cosine(alone, row) for side, row in rows.items()}
    heard = [seen.changes(one) for one in found.values()]
    parts = [f"{values[side]!r} to none {one:.6f}" for side, one in found.items()]
    if len(rows) == len(_SIDES):
        parts.append(f"query to document {cosine(rows['query'], rows['document']):.6f}")
    honoured = all(heard) if expected else any(heard)
    word = "honoured" if all(heard) else "honoured in part" if any(heard) else "ignored"
    seen.note("input_type", judged(expected, honoured), f"{word}; cosines: {', '.join(parts)}")


def _side(seen: _Seen, side: InputType, alone: Matrix) -> None:
    """Say whether a side's whole mark changes the embedding."""
    name, mark = f"{side} marking", _marks(seen)[side]
    known = seen.profile is not NO_PROFILE
    if not mark.prefix and not mark.input_type:
        seen.note(name, OK if known else UNKNOWN, "none")
        return
    what = " and ".join(["a prefix"] * bool(mark.prefix) + [f"input_type {mark.input_type!r}"] * bool(mark.input_type))
    if side not in seen.marked:
        seen.note(name, UNKNOWN, f"{what}: not seen, as the request for it failed")
        return
    found = cosine(alone, seen.marked[side])
    changed = seen.changes(found)
    verdict = judged(True if known or _set_by_user(seen.inquiry.options) else None, changed)
    seen.note(name, verdict, f"{what}: {'cosine' if changed else 'no effect, cosine'} {found:.6f} to the unmarked text")


def _dimensions(seen: _Seen, native: int) -> Flow[None]:
    """Ask for a shorter width by a plain field, so that another width is an answer and not an error."""
    options = seen.inquiry.options
    asked = options.dimensions or _shorter(seen.profile, native)
    if asked is None:
        return seen.note("dimensions", UNKNOWN, "there is no shorter width to ask for")
    expected = True if options.dimensions or seen.profile.selectable is not None else None
    body = merged(options.extra_body or {}, {"dimensions": asked})
    try:
        result = yield from _ask(seen, [_TEXT], extra_body=body)
    except _REFUSED as error:
        return seen.note("dimensions", judged(expected, False), f"{asked} is refused ({type(error).__name__})")
    except EmbeddingError as error:
        return seen.fail("dimensions", error)
    honoured = result.dimensions == asked
    detail = f"{asked} asked for, {result.dimensions} came"
    return seen.note("dimensions", judged(expected, honoured), detail)


def _shorter(profile: Profile, native: int) -> int | None:
    """Return a width below the native one that the model should give, or may."""
    allowed = profile.selectable
    if isinstance(allowed, frozenset):
        return max((one for one in allowed if one < native), default=None)
    least = allowed[0] if allowed is not None else 1
    half = max(native // 2, least)
    return half if half < native else None


def _providers(seen: _Seen) -> None:
    """Say who served."""
    names = list(dict.fromkeys(name for result in seen.results for name in result.providers))
    seen.note("served by", OK if names else UNKNOWN, ", ".join(names) or "no answer named a provider")
