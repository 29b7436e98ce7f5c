"""The story of a model check: a handful of tiny live requests, each of which answers several questions. Pure.

One text goes out unmarked, twice. One batch holds it again among many others, and once behind each prefix. Then one
request for each value of `input_type`, and one for a shorter width. `Seen` keeps what was found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ._effects import Flow
from ._flow_check_ask import Seen, ask, ask_most, cosine
from ._flow_checks import PROBES, Inquiry
from ._plan import MOST_INPUTS
from ._prepare import marking
from ._wire import merged
from .checks import DIFFERS, OK, UNKNOWN, ModelCheck
from .errors import EmbeddingError, InvalidRequestError, ModelNotFoundError
from .inputs import InputType
from .options import Options
from .profiles import UNKNOWN as NO_PROFILE
from .profiles import Marking, Profile
from .results import EmbeddingResult, Matrix

_SIDES: tuple[InputType, InputType] = ("query", "document")
_TEXT = PROBES[0]
_SAME = 1e-5
"""How far a cosine may fall short of 1 between two answers to one request that count as one."""
_BATCH_SAME = 1e-4
"""In a batch sums are taken in another order, at some hosts in half precision."""
_ROUGHLY_SAME = 1e-3
"""Another host's quantization changes a cosine by less. A mark that is heard changes it by far more."""
_UNIT = 1e-3
_REFUSED = (InvalidRequestError, ModelNotFoundError)
"""How a parameter that no provider takes is answered."""


def judged(expected: bool | None, found: bool) -> str:
    """Return the verdict on a fact that the profile states, or says nothing of (None)."""
    if expected is None:
        return OK if found else UNKNOWN
    return OK if found == expected else DIFFERS


def model_check(inquiry: Inquiry) -> Flow[ModelCheck]:
    """Try the model, and hold what it does against its profile."""
    seen = Seen(inquiry)
    try:
        alone = yield from ask(seen, [_TEXT])
    except EmbeddingError as error:
        seen.fail("answers", error)
    else:
        _first(seen, alone)
        yield from _again(seen, alone.embeddings[0])
        yield from _batch(seen, alone.embeddings[0])
        yield from _input_types(seen, alone.embeddings[0])
        for side in _SIDES:
            _side(seen, side, alone.embeddings[0])
        yield from _dimensions(seen, alone.embeddings[0])
        _providers(seen)
    return ModelCheck(
        model=inquiry.given.model,
        gateway=inquiry.gateway.name,
        profile=inquiry.profile.family,
        findings=tuple(seen.findings),
        usage=inquiry.usage(),
    )


def _first(seen: Seen, alone: EmbeddingResult) -> None:
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


def _again(seen: Seen, alone: Matrix) -> Flow[None]:
    """Ask for the same once more: the difference, if any, is the noise that all else is measured by."""
    try:
        again = yield from ask(seen, [_TEXT])
    except EmbeddingError as error:
        return seen.fail("deterministic", error)
    if again.usage.server_cached:
        detail = "the gateway's own cache answered; check with a client without server_cache"
        return seen.note("deterministic", UNKNOWN, detail)
    row = again.embeddings[0]
    if row.shape != alone.shape:
        return seen.note("deterministic", DIFFERS, f"{len(row)} dimensions, {len(alone)} in the first answer")
    found = cosine(alone, row)
    seen.noise = max(0.0, 1.0 - found)
    detail = f"cosine {found:.6f} to the first answer, no number off by more than {np.abs(alone - row).max():.2g}"
    return seen.note("deterministic", judged(True, 1.0 - found <= _SAME), detail)


def _batch(seen: Seen, alone: Matrix) -> Flow[None]:
    """Ask for as many texts as a request may hold, the one text and its marked forms among them."""
    limit = seen.profile.max_inputs
    most = min(MOST_INPUTS, limit or MOST_INPUTS)
    marks = {side: mark.prefix for side, mark in _marks(seen).items() if mark.prefix and not mark.input_type}
    prefixes = list(dict.fromkeys(marks.values()))
    # The second place, and at least two longer texts after it: whoever sorts, turns or reverses a batch moves it.
    longer = [" ".join(PROBES[:count]) for count in (2, 3)]
    firsts = ["text 0", _TEXT, *(prefix + _TEXT for prefix in prefixes), *longer]
    texts = [*firsts, *(f"text {number}" for number in range(1, most - len(firsts) + 1))]
    try:
        result, refused = yield from ask_most(seen, texts)
    except EmbeddingError as error:
        return seen.fail("batch", error)
    accepted = 1 if result is None else len(result)
    detail = f"{accepted} input{'s' * (accepted > 1)} in a request" + (f"; {refused} were refused" if refused else "")
    seen.note("batch size", judged(True if limit else None, not refused), detail)
    if result is None:
        return seen.note("batch equals single", UNKNOWN, "a request holds one input only")
    _in_its_place(seen, alone, result.embeddings)
    rows = dict(zip(prefixes, result.embeddings[2:], strict=False))
    seen.marked |= {side: rows[prefix] for side, prefix in marks.items() if prefix in rows}
    return None


def _in_its_place(seen: Seen, alone: Matrix, rows: Matrix) -> None:
    """Say whether the text has its own embedding in the batch, and no other text has it."""
    others = [cosine(alone, row) for row in rows]
    own, others[1] = others[1], -1.0
    nearest = int(np.argmax(others))
    mixed_up = others[nearest] >= own
    detail = f"cosine {own:.6f}" + (f", but {others[nearest]:.6f} in the place of input {nearest}" if mixed_up else "")
    seen.note("batch equals single", judged(True, seen.same(own, _BATCH_SAME) and not mixed_up), detail)


def _marks(seen: Seen) -> dict[InputType, Marking]:
    """Return how the client marks each side."""
    return {side: marking(seen.inquiry.options, seen.profile, side) for side in _SIDES}


def _set_by_user(options: Options) -> bool:
    return bool(options.query_input_type or options.document_input_type)


def _input_types(seen: Seen, alone: Matrix) -> Flow[None]:
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
            result = yield from ask(seen, [_TEXT, prefix + _TEXT], document_input_type=value)
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
    seen: Seen,
    alone: Matrix,
    rows: Mapping[InputType, Matrix],
    values: Mapping[InputType, str],
    expected: bool | None,
) -> None:
    found = {side: cosine(alone, row) for side, row in rows.items()}
    heard = [not seen.same(one, _ROUGHLY_SAME) for one in found.values()]
    parts = [f"{values[side]!r} to none {one:.6f}" for side, one in found.items()]
    if len(rows) == len(_SIDES):
        parts.append(f"query to document {cosine(rows['query'], rows['document']):.6f}")
    honoured = all(heard) if expected else any(heard)
    word = "honoured" if all(heard) else "honoured in part" if any(heard) else "ignored"
    seen.note("input_type", judged(expected, honoured), f"{word}; cosines: {', '.join(parts)}")


def _side(seen: Seen, side: InputType, alone: Matrix) -> None:
    """Say whether a side's whole mark changes the embedding."""
    name, mark = f"{side} marking", _marks(seen)[side]
    known = seen.profile is not NO_PROFILE
    if not mark.prefix and not mark.input_type:
        seen.note(name, OK if known else UNKNOWN, "none")
        return
    what = " and ".join(["a prefix"] * bool(mark.prefix) + [f"input_type {mark.input_type!r}"] * bool(mark.input_type))
    if side not in seen.marked:
        seen.note(name, UNKNOWN, f"{what}: not seen, as no request for it landed")
        return
    found = cosine(alone, seen.marked[side])
    changed = not seen.same(found, _ROUGHLY_SAME)
    verdict = judged(True if known or _set_by_user(seen.inquiry.options) else None, changed)
    seen.note(name, verdict, f"{what}: {'cosine' if changed else 'no effect, cosine'} {found:.6f} to the unmarked text")


def _dimensions(seen: Seen, alone: Matrix) -> Flow[None]:
    """Ask for a shorter width, and see whether it comes, and whether it is the beginning of the full embedding."""
    asked = seen.inquiry.options.dimensions or _shorter(seen.profile, len(alone))
    row: Matrix | None = None
    if asked is None:
        seen.note("dimensions", UNKNOWN, "there is no shorter width to ask for")
    else:
        row = yield from _narrow(seen, asked)
    if row is None or len(row) >= len(alone):
        return seen.note("dimensions are a cut", UNKNOWN, "no shorter embedding came")
    found = cosine(alone[: len(row)], row)
    expected = True if seen.profile.selectable is not None else None
    detail = f"cosine {found:.6f} to the first {len(row)} numbers of the full embedding"
    return seen.note("dimensions are a cut", judged(expected, seen.same(found, _ROUGHLY_SAME)), detail)


def _narrow(seen: Seen, asked: int) -> Flow[Matrix | None]:
    """Return the text's embedding at the width asked for by a plain field: so another width is an answer, not an error."""
    options = seen.inquiry.options
    expected = True if options.dimensions or seen.profile.selectable is not None else None
    body = merged(options.extra_body or {}, {"dimensions": asked})
    try:
        result = yield from ask(seen, [_TEXT], extra_body=body)
    except _REFUSED as error:
        seen.note("dimensions", judged(expected, False), f"{asked} is refused ({type(error).__name__})")
        return None
    except EmbeddingError as error:
        seen.fail("dimensions", error)
        return None
    seen.note(
        "dimensions", judged(expected, result.dimensions == asked), f"{asked} asked for, {result.dimensions} came"
    )
    row: Matrix = result.embeddings[0]
    return row


def _shorter(profile: Profile, native: int) -> int | None:
    """Return a width below the native one that the model should give, or may."""
    allowed = profile.selectable
    if isinstance(allowed, frozenset):
        return max((one for one in allowed if one < native), default=None)
    least = allowed[0] if allowed is not None else 1
    half = max(native // 2, least)
    return half if half < native else None


def _providers(seen: Seen) -> None:
    """Say who served."""
    names = list(dict.fromkeys(name for result in seen.results for name in result.providers))
    seen.note("served by", OK if names else UNKNOWN, ", ".join(names) or "no answer named a provider")
