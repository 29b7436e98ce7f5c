"""Does a model do what its profile says? What was seen, held against it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import sqrt

import numpy as np

from openrouter_embeddings._flows import Flow
from openrouter_embeddings.errors import EmbeddingError, InvalidRequestError, ModelNotFoundError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.profiles import UNKNOWN as NO_PROFILE

from .compare import Comparison, Noise, compare, noise_of
from .probe import INPUT_TYPES, Observations, observe
from .reports import DIFFERS, FAILED, OK, UNKNOWN, Finding, ModelCheck
from .session import ENDS_A_CHECK, CheckSession, endpoints_named

_EQUAL = 1e-5
"""How far a cosine may fall short of 1 between two answers to one request that count as one."""
_UNIT = 1e-3
"""How far from 1 a length may be that counts as 1."""
_ASSUMED_NOISE = 4e-3
"""Where no request could be repeated."""
_REFUSED = (InvalidRequestError, ModelNotFoundError)
"""How a parameter that no provider takes is answered."""
_WORDS = {frozenset({True}): "honoured", frozenset({False}): "ignored", frozenset[bool](): "not known"}

_Seen = tuple[str, str, str]
"""Name, verdict and detail of a finding."""


def check_model(session: CheckSession) -> Flow[ModelCheck]:
    """Try the model live, and hold what it does against its profile.

    It sends at most 13 requests of some 3,000 tokens together: 6 where there is no `input_type` to try, 12 where there
    is one value, 13 where queries and documents have one each; and some more where the pin or a large batch is refused.
    One is a batch of as many tiny texts as the profile allows, 256 at most. The providers' listing is read once.
    """
    findings: list[_Seen]
    try:
        findings = list(_findings((yield from observe(session))))
    except ENDS_A_CHECK:
        raise
    except EmbeddingError as error:
        findings = [_failed("answers", error)]
    return ModelCheck(
        model=session.given.model,
        gateway=session.gateway.name,
        profile=session.profile.family,
        findings=tuple(Finding(name=name, verdict=verdict, detail=detail) for name, verdict, detail in findings),
        usage=session.usage(),
    )


def verdict_on(expected: bool | None, seen: Collection[bool]) -> str:
    """Return the verdict on a fact.

    Args:
        expected: What the profile states. None: it says nothing, and True is what one would wish.
        seen: What was seen; both where providers are not alike, nothing where that is not known.
    """
    if expected is None:
        return OK if set(seen) == {True} else UNKNOWN
    if (not expected) in seen:
        return DIFFERS
    return OK if expected in seen else UNKNOWN


def _findings(seen: Observations) -> Iterator[_Seen]:
    noise = noise_of(seen.equal())
    values = {side: compare(seen.unmarked(), seen.samples.get(side, ()), noise) for side in seen.values()}
    yield from _first_answer(seen)
    yield _normalised(seen, noise)
    yield _deterministic(seen, noise)
    yield from _batch(seen, noise)
    yield _input_type(seen, values)
    for side in INPUT_TYPES:
        yield _marking(seen, side, values, noise)
    yield from _dimensions(seen)
    detail = ", ".join(seen.providers) or "no answer named a provider"
    if seen.pin is not None and not all(endpoints_named(name, [seen.pin]) for name in seen.providers):
        detail += f"; {seen.pin.tag} alone was asked for"
    yield "served by", OK if seen.providers else UNKNOWN, detail


def _failed(name: str, error: EmbeddingError) -> _Seen:
    return name, FAILED + type(error).__name__, error.message


def _first_answer(seen: Observations) -> Iterator[_Seen]:
    profile, came, native = seen.profile, seen.first.dimensions, seen.profile.native_dimensions
    yield "answers", OK, f"as {seen.first.model}"
    says = "the profile names none" if native is None else f"the profile says {native}"
    yield "native dimensions", UNKNOWN if native is None else verdict_on(True, {came == native}), f"{came}; {says}"
    expected = None if profile is NO_PROFILE else profile.base64
    yield "base64", verdict_on(expected, {seen.base64 == "honoured"}), seen.base64


def _normalised(seen: Observations, noise: Noise) -> _Seen:
    """Hold the lengths against 1. Noise that turns an embedding so far may stretch it as far."""
    samples = [sample for kind in ("single", "texts", "batch") for sample in seen.samples.get(kind, ())]
    answers = [list(seen.first.embeddings), *(list(sample.rows.values()) for sample in samples)]
    lengths = [float(np.median(np.linalg.norm(np.asarray(rows, dtype=np.float64), axis=1))) for rows in answers]
    farthest = max(abs(length - 1.0) for length in lengths)
    stretch = sqrt(2.0 * max(map(min, noise.values()), default=_ASSUMED_NOISE))
    is_unit = {True} if farthest <= _UNIT else {False} if farthest > _UNIT + stretch else set[bool]()
    shown = sorted({f"{length:.4f}" for length in lengths}, key=float)
    detail = f"length {shown[0]}" if len(shown) == 1 else f"lengths {shown[0]} to {shown[-1]}"
    return "normalised", verdict_on(seen.profile.normalized, is_unit), detail


def _deterministic(seen: Observations, noise: Noise) -> _Seen:
    name = "deterministic"
    error = seen.errors.get("single") or seen.errors.get("texts")
    if error is not None:
        return _failed(name, error)
    if not noise:
        cached = seen.session.given.server_cache is not None
        why = "the gateway's own cache answered; check with a client without server_cache"
        return name, UNKNOWN, why if cached else "no provider answered equal requests twice"
    largest = max(map(max, noise.values()))
    # Where no provider is named, two that differ may be two providers.
    noisy = any(max(found) > _EQUAL for provider, found in noise.items() if provider or seen.has_one_provider)
    equal = {False} if noisy else {True} if largest <= _EQUAL else set[bool]()
    why = "" if equal else "; no answer names who served, and it may have been several"
    return name, verdict_on(True, equal), f"cosine {1.0 - largest:.6f} at least between equal requests{why}"


def _batch(seen: Observations, noise: Noise) -> Iterator[_Seen]:
    """Say how large a batch was taken, and whether the one text has its own embedding in it."""
    if "batch" in seen.errors:
        yield _failed("batch", seen.errors["batch"])
        return
    detail = f"{seen.accepted} input{'s' * (seen.accepted > 1)} in a request"
    detail += f"; {seen.refused} were refused" if seen.refused else ""
    yield "batch size", verdict_on(True if seen.profile.max_inputs else None, {not seen.refused}), detail
    name = "batch equals single"
    if seen.accepted == 1:
        yield name, UNKNOWN, "a request holds one input only"
    elif seen.moved_to is not None:
        yield name, DIFFERS, f"the text's embedding stands in the place of input {seen.moved_to}"
    else:
        found = compare(seen.samples.get("single", ()), seen.unmarked(), noise)
        yield name, verdict_on(False, found.differs), str(found)


def _input_type(seen: Observations, found: Mapping[InputType, Comparison]) -> _Seen:
    name, values = "input_type", seen.values()
    if not values:
        return name, UNKNOWN, "none is sent, and no value is documented"
    expected = any(mark.input_type for mark in seen.marks().values()) if _is_known(seen) else None
    for side, value in values.items():
        error = seen.errors.get(side)
        if isinstance(error, _REFUSED):
            verdict = UNKNOWN if expected is None else DIFFERS if expected else OK
            return name, verdict, f"{value!r} is refused ({type(error).__name__})"
        if error is not None:
            return _failed(name, error)
    differs = frozenset[bool]().union(*(comparison.differs for comparison in found.values()))
    verdict = verdict_on(expected, differs)
    if verdict == OK and not all(comparison.differs for comparison in found.values()):
        verdict = UNKNOWN
    shown = "; ".join(f"{values[side]!r} to none: {comparison}" for side, comparison in found.items())
    return name, verdict, f"{_WORDS.get(differs, 'honoured in part')}; {shown}"


def _is_known(seen: Observations) -> bool:
    """Return whether the profile, or the user, says how this model is marked."""
    options = seen.session.options
    return seen.profile is not NO_PROFILE or bool(options.query_input_type or options.document_input_type)


def _marking(seen: Observations, side: InputType, values: Mapping[InputType, Comparison], noise: Noise) -> _Seen:
    """Say whether a side's whole mark changes the embedding."""
    name, mark = f"{side} marking", seen.marks()[side]
    if not mark.prefix and not mark.input_type:
        return name, OK if seen.profile is not NO_PROFILE else UNKNOWN, "none"
    what = " and ".join(["a prefix"] * bool(mark.prefix) + [f"input_type {mark.input_type!r}"] * bool(mark.input_type))
    if mark.prefix:
        paired = not mark.input_type
        unmarked = seen.samples.get("texts", []) if paired else seen.unmarked()
        found = compare(unmarked, seen.samples.get(f"{side} prefix", ()), noise, paired=paired)
    else:
        found = values[side]
    verdict = verdict_on(True if _is_known(seen) else None, found.differs)
    return name, verdict, f"{what}: {'no effect, ' * (False in found.differs)}{found}"


def _dimensions(seen: Observations) -> Iterator[_Seen]:
    """Say whether a shorter width came, and whether it is the beginning of the full embedding."""
    name, asked, came, error = "dimensions", seen.width, seen.came, seen.errors.get("dimensions")
    selectable = True if seen.profile.selectable is not None else None
    expected = True if seen.session.options.dimensions else selectable
    if asked is None:
        yield name, UNKNOWN, "there is no shorter width to ask for"
    elif isinstance(error, _REFUSED):
        yield name, verdict_on(expected, {False}), f"{asked} is refused ({type(error).__name__})"
    elif error is not None:
        yield _failed(name, error)
    else:
        yield name, verdict_on(expected, {came == asked}), f"{asked} asked for, {came} came"
    name = "dimensions are a cut"
    if came is None or came >= seen.first.dimensions:
        yield name, UNKNOWN, "no shorter embedding came"
        return
    full, *equal = ([sample.cut(came) for sample in samples] for samples in (seen.unmarked(), *seen.equal()))
    found = compare(full, seen.samples.get("dimensions", ()), noise_of(equal))
    same = {not differs for differs in found.differs}
    yield name, verdict_on(selectable, same), f"{found}, to the first {came} numbers of the full embedding"
