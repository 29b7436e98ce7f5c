"""Does a model do what its profile says? A handful of tiny live requests, each of which answers several questions.

One text goes out unmarked, twice. One batch holds it again among many others, and once behind each prefix. Then one
request for each value of `input_type`, and one for a shorter width. `Observations` keeps what was found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from openrouter_embeddings._flows import MAX_INPUTS, Flow, marking
from openrouter_embeddings._protocol import merged
from openrouter_embeddings.errors import EmbeddingError, InvalidRequestError, ModelNotFoundError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import UNKNOWN as NO_PROFILE
from openrouter_embeddings.profiles import Marking, Profile
from openrouter_embeddings.results import EmbeddingResult, Matrix

from .probe import Observations, cosine, embed_probe, find_largest_batch
from .reports import DIFFERS, OK, UNKNOWN, ModelCheck
from .session import PROBES, CheckSession

_INPUT_TYPES: tuple[InputType, InputType] = ("query", "document")


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


def verdict_on(expected: bool | None, found: bool) -> str:
    """Return the verdict on a fact that the profile states, or says nothing of (None)."""
    if expected is None:
        return OK if found else UNKNOWN
    return OK if found == expected else DIFFERS


def check_model(session: CheckSession) -> Flow[ModelCheck]:
    """Try the model, and hold what it does against its profile."""
    seen = Observations(session)
    try:
        alone = yield from embed_probe(seen, [_TEXT])
    except EmbeddingError as error:
        seen.record_error("answers", error)
    else:
        _check_first_answer(seen, alone)
        yield from _check_determinism(seen, alone.embeddings[0])
        yield from _check_batch(seen, alone.embeddings[0])
        yield from _input_types(seen, alone.embeddings[0])
        for side in _INPUT_TYPES:
            _check_marking(seen, side, alone.embeddings[0])
        yield from _dimensions(seen, alone.embeddings[0])
        _providers(seen)
    return ModelCheck(
        model=session.given.model,
        gateway=session.gateway.name,
        profile=session.profile.family,
        findings=tuple(seen.findings),
        usage=session.usage(),
    )


def _check_first_answer(seen: Observations, alone: EmbeddingResult) -> None:
    """Read what the first answer tells."""
    profile, known = seen.profile, seen.profile is not NO_PROFILE
    seen.record("answers", OK, f"as {alone.model}")
    native = profile.native_dimensions
    says = "the profile names none" if native is None else f"the profile says {native}"
    verdict = UNKNOWN if native is None else verdict_on(True, alone.dimensions == native)
    seen.record("native dimensions", verdict, f"{alone.dimensions}; {says}")
    in_base64 = seen.learned.encoding == "base64"
    how = "honoured" if in_base64 else "refused, floats are asked for" if seen.learned.base64_was_refused else ""
    expected = profile.base64 if known else None
    seen.record("base64", verdict_on(expected, in_base64), how or "floats came back")
    length = float(np.linalg.norm(alone.embeddings[0].astype(np.float64)))
    seen.record("normalised", verdict_on(profile.normalized, abs(length - 1.0) <= _UNIT), f"length {length:.4f}")


def _check_determinism(seen: Observations, alone: Matrix) -> Flow[None]:
    """Ask for the same once more: the difference, if any, is the noise that all else is measured by."""
    try:
        again = yield from embed_probe(seen, [_TEXT])
    except EmbeddingError as error:
        return seen.record_error("deterministic", error)
    if again.usage.server_cached:
        detail = "the gateway's own cache answered; check with a client without server_cache"
        return seen.record("deterministic", UNKNOWN, detail)
    row = again.embeddings[0]
    if row.shape != alone.shape:
        return seen.record("deterministic", DIFFERS, f"{len(row)} dimensions, {len(alone)} in the first answer")
    found = cosine(alone, row)
    seen.noise = max(0.0, 1.0 - found)
    detail = f"cosine {found:.6f} to the first answer, no number off by more than {np.abs(alone - row).max():.2g}"
    return seen.record("deterministic", verdict_on(True, 1.0 - found <= _SAME), detail)


def _check_batch(seen: Observations, alone: Matrix) -> Flow[None]:
    """Ask for as many texts as a request may hold, the one text and its marked forms among them."""
    limit = seen.profile.max_inputs
    most = min(MAX_INPUTS, limit or MAX_INPUTS)
    marks = {side: mark.prefix for side, mark in _marks(seen).items() if mark.prefix and not mark.input_type}
    prefixes = list(dict.fromkeys(marks.values()))
    # The second place, and at least two longer texts after it: whoever sorts, turns or reverses a batch moves it.
    longer = [" ".join(PROBES[:count]) for count in (2, 3)]
    firsts = ["text 0", _TEXT, *(prefix + _TEXT for prefix in prefixes), *longer]
    texts = [*firsts, *(f"text {number}" for number in range(1, most - len(firsts) + 1))]
    try:
        result, refused = yield from find_largest_batch(seen, texts)
    except EmbeddingError as error:
        return seen.record_error("batch", error)
    accepted = 1 if result is None else len(result)
    detail = f"{accepted} input{'s' * (accepted > 1)} in a request" + (f"; {refused} were refused" if refused else "")
    seen.record("batch size", verdict_on(True if limit else None, not refused), detail)
    if result is None:
        return seen.record("batch equals single", UNKNOWN, "a request holds one input only")
    _in_its_place(seen, alone, result.embeddings)
    rows = dict(zip(prefixes, result.embeddings[2:], strict=False))
    seen.marked |= {side: rows[prefix] for side, prefix in marks.items() if prefix in rows}
    return None


def _in_its_place(seen: Observations, alone: Matrix, rows: Matrix) -> None:
    """Say whether the text has its own embedding in the batch, and no other text has it."""
    others = [cosine(alone, row) for row in rows]
    own, others[1] = others[1], -1.0
    nearest = int(np.argmax(others))
    mixed_up = others[nearest] >= own
    detail = f"cosine {own:.6f}" + (f", but {others[nearest]:.6f} in the place of input {nearest}" if mixed_up else "")
    seen.record("batch equals single", verdict_on(True, seen.same(own, _BATCH_SAME) and not mixed_up), detail)


def _marks(seen: Observations) -> dict[InputType, Marking]:
    """Return how the client marks each side."""
    return {side: marking(seen.session.options, seen.profile, side) for side in _INPUT_TYPES}


def _set_by_user(options: Options) -> bool:
    return bool(options.query_input_type or options.document_input_type)


def _input_types(seen: Observations, alone: Matrix) -> Flow[None]:
    """Ask with each value of `input_type` that is sent, or one that is documented, and see whether it is heard."""
    marks = _marks(seen)
    values: dict[InputType, str] = {side: mark.input_type for side, mark in marks.items() if mark.input_type}
    expected = bool(values) if seen.profile is not NO_PROFILE or _set_by_user(seen.session.options) else None
    documented = seen.session.gateway.input_types
    if not values and documented is not None:
        values = {"query": documented[0]}
    if not values:
        return seen.record("input_type", UNKNOWN, "none is sent, and no value is documented")
    rows: dict[InputType, Matrix] = {}
    for side, value in values.items():
        prefix = marks[side].prefix if marks[side].input_type else ""
        try:
            result = yield from embed_probe(seen, [_TEXT, prefix + _TEXT], document_input_type=value)
        except _REFUSED as error:
            verdict = DIFFERS if expected else OK if expected is False else UNKNOWN
            return seen.record("input_type", verdict, f"{value!r} is refused ({type(error).__name__})")
        except EmbeddingError as error:
            return seen.record_error("input_type", error)
        rows[side] = result.embeddings[0]
        if marks[side].input_type:
            seen.marked[side] = result.embeddings[1]
    return _input_type_verdict(seen, alone, rows, values, expected)


def _input_type_verdict(
    seen: Observations,
    alone: Matrix,
    rows: Mapping[InputType, Matrix],
    values: Mapping[InputType, str],
    expected: bool | None,
) -> None:
    found = {side: cosine(alone, row) for side, row in rows.items()}
    heard = [not seen.same(one, _ROUGHLY_SAME) for one in found.values()]
    parts = [f"{values[side]!r} to none {one:.6f}" for side, one in found.items()]
    if len(rows) == len(_INPUT_TYPES):
        parts.append(f"query to document {cosine(rows['query'], rows['document']):.6f}")
    honoured = all(heard) if expected else any(heard)
    word = "honoured" if all(heard) else "honoured in part" if any(heard) else "ignored"
    seen.record("input_type", verdict_on(expected, honoured), f"{word}; cosines: {', '.join(parts)}")


def _check_marking(seen: Observations, side: InputType, alone: Matrix) -> None:
    """Say whether a side's whole mark changes the embedding."""
    name, mark = f"{side} marking", _marks(seen)[side]
    known = seen.profile is not NO_PROFILE
    if not mark.prefix and not mark.input_type:
        seen.record(name, OK if known else UNKNOWN, "none")
        return
    what = " and ".join(["a prefix"] * bool(mark.prefix) + [f"input_type {mark.input_type!r}"] * bool(mark.input_type))
    if side not in seen.marked:
        seen.record(name, UNKNOWN, f"{what}: not seen, as no request for it landed")
        return
    found = cosine(alone, seen.marked[side])
    changed = not seen.same(found, _ROUGHLY_SAME)
    verdict = verdict_on(True if known or _set_by_user(seen.session.options) else None, changed)
    seen.record(
        name, verdict, f"{what}: {'cosine' if changed else 'no effect, cosine'} {found:.6f} to the unmarked text"
    )


def _dimensions(seen: Observations, alone: Matrix) -> Flow[None]:
    """Ask for a shorter width, and see whether it comes, and whether it is the beginning of the full embedding."""
    asked = seen.session.options.dimensions or _shorter(seen.profile, len(alone))
    row: Matrix | None = None
    if asked is None:
        seen.record("dimensions", UNKNOWN, "there is no shorter width to ask for")
    else:
        row = yield from _embed_at_width(seen, asked)
    if row is None or len(row) >= len(alone):
        return seen.record("dimensions are a cut", UNKNOWN, "no shorter embedding came")
    found = cosine(alone[: len(row)], row)
    expected = True if seen.profile.selectable is not None else None
    detail = f"cosine {found:.6f} to the first {len(row)} numbers of the full embedding"
    return seen.record("dimensions are a cut", verdict_on(expected, seen.same(found, _ROUGHLY_SAME)), detail)


def _embed_at_width(seen: Observations, asked: int) -> Flow[Matrix | None]:
    """Return the text's embedding at the width asked for by a plain field: so another width is an answer, not an error."""
    options = seen.session.options
    expected = True if options.dimensions or seen.profile.selectable is not None else None
    body = merged(options.extra_body or {}, {"dimensions": asked})
    try:
        result = yield from embed_probe(seen, [_TEXT], extra_body=body)
    except _REFUSED as error:
        seen.record("dimensions", verdict_on(expected, False), f"{asked} is refused ({type(error).__name__})")
        return None
    except EmbeddingError as error:
        seen.record_error("dimensions", error)
        return None
    seen.record(
        "dimensions", verdict_on(expected, result.dimensions == asked), f"{asked} asked for, {result.dimensions} came"
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


def _providers(seen: Observations) -> None:
    """Say who served."""
    names = list(dict.fromkeys(name for result in seen.results for name in result.providers))
    seen.record("served by", OK if names else UNKNOWN, ", ".join(names) or "no answer named a provider")
