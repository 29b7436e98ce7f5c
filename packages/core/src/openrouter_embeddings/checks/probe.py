"""What a model check asks: about a dozen small live requests, pinned to one provider where that can be had.

One text goes out alone, twice. One batch holds it among as many others as a request may hold. Then, in turns, a few
texts are asked for unmarked, with each prefix beside them, and with each value of `input_type`, each more than once: so
it is known what equal requests differ by. The last request asks for a shorter width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from openrouter_embeddings._flows import MAX_INPUTS, Batch, Flow, list_endpoints, marking, send_until_settled
from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings._protocol import Endpoint, Remedy, merged, narrowed
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import Marking, Profile
from openrouter_embeddings.results import EmbeddingResult

from .compare import Sample
from .session import ENDS_A_CHECK, PROBES, CheckSession, cosines, endpoints_named, pinned_to, preferences, run_alone

INPUT_TYPES: tuple[InputType, InputType] = ("query", "document")
TEXT = PROBES[0]
_TEXTS = PROBES[:5]
_PLACE = 1
"""Where the one text stands in the batch."""
_ROUNDS = {0: 2, 1: 4, 2: 3}
"""How often each kind of request is sent, by the number of values of `input_type`: enough for `compare`."""
_LISTING_SECONDS = 10.0


@dataclass(slots=True)
class Observations:
    """What was asked and answered so far.

    Attributes:
        session: The check.
        options: How requests are sent: unmarked, and pinned as soon as a provider is known.
        first: The first answer.
        base64: What came of asking for it.
        pin: The provider that alone is asked.
        has_one_provider: Whether the gateway lists no other.
        accepted: The most texts that one request took.
        refused: The least number that was refused, or 0.
        moved_to: Where in the batch the one text's embedding stands, if not in its own place.
        width: Dimensions asked for, and `came` those that came.
        samples: Answers, by kind of request: `"single"`, `"texts"`, `"batch"`, the input types for their values,
            `"dimensions"`, and `"query prefix"` and its like for what was marked by a prefix, with its value or alone.
        errors: What failed, by kind of request.
        providers: Who has served.
    """

    session: CheckSession
    options: Options
    first: EmbeddingResult = field(init=False)
    base64: str = ""
    pin: Endpoint | None = None
    has_one_provider: bool = False
    accepted: int = MAX_INPUTS
    refused: int = 0
    moved_to: int | None = None
    width: int | None = None
    came: int | None = None
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    errors: dict[str, EmbeddingError] = field(default_factory=dict)
    providers: dict[str, None] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """The profile that the model is held against."""
        return self.session.profile

    @property
    def room(self) -> int:
        """How many texts are put into a request: one, where more are refused or mixed up."""
        return self.accepted if self.moved_to is None else 1

    def marks(self) -> dict[InputType, Marking]:
        """Return how the client marks each side."""
        return {side: marking(self.session.options, self.profile, side) for side in INPUT_TYPES}

    def values(self) -> dict[InputType, str]:
        """Return the values of `input_type` to try: those that are sent, else one that is documented."""
        sent = {side: mark.input_type for side, mark in self.marks().items() if mark.input_type}
        documented = self.session.gateway.input_types
        return sent or ({"query": documented[0]} if documented is not None else {})

    def unmarked(self) -> list[Sample]:
        """Return the answers to unmarked texts, sent like the marked ones: alone, or several in a request."""
        kinds = ("single", "texts") if self.room == 1 else ("texts", "batch")
        return [sample for kind in kinds for sample in self.samples.get(kind, ())]

    def equal(self) -> list[list[Sample]]:
        """Return the answers to equal requests, group by group."""
        return [samples for kind, samples in self.samples.items() if kind != "batch"]

    def keep(self, kind: str, result: EmbeddingResult, texts: Sequence[str], prefix: str = "") -> None:
        """Keep the rows to compare; with a prefix, of the texts marked by it. A stored answer says nothing of a model."""
        self.providers |= dict.fromkeys(result.providers)
        rows = dict(zip(texts, result.embeddings, strict=False))
        kept = {text: rows[prefix + text] for text in _TEXTS if prefix + text in rows}
        if kept and not result.usage.server_cached:
            provider = result.providers[0] if len(result.providers) == 1 else None
            self.samples.setdefault(kind, []).append(Sample(provider, kept))


def observe(session: CheckSession) -> Flow[Observations]:
    """Ask everything. What fails is noted, but for the first request, whose error is raised."""
    seen = Observations(session, unmarked(session.options))
    call = session.call(seen.options, [TEXT])
    seen.first = yield from run_alone(call)
    if call.learned.encoding == "base64":
        seen.base64 = "honoured"
    else:  # not asked for again and again
        seen.base64 = "refused, floats are asked for" if call.learned.base64_was_refused else "floats came back"
        seen.options = replace(seen.options, encoding_format="float")
    yield from _pin(seen)
    if seen.pin is None or seen.first.providers:  # else others may have served it than the rest
        seen.keep("single", seen.first, [TEXT])
    yield from _ask_batch(seen)
    yield from _ask_in_turns(seen)
    seen.width = session.options.dimensions or _shorter(seen.profile, seen.first.dimensions)
    if seen.width is not None:  # by a plain field: so another width is an answer, not an error
        body = merged(seen.options.extra_body or {}, {"dimensions": seen.width})
        result = yield from _ask(seen, "dimensions", _texts(seen, {}, 0), extra_body=body)
        seen.came = None if result is None else result.dimensions
    return seen


def unmarked(options: Options) -> Options:
    """Return options that send a text as it is, at the model's own width, in base64 if it can be had."""
    marks: Any = dict.fromkeys(("query_input_type", "document_input_type", "query_prefix", "document_prefix"), "")
    sizes: Any = dict.fromkeys(("dimensions", "batch_size", "batch_tokens"))
    return replace(options, **marks, **sizes, dimensions_fallback=False, encoding_format="auto")


def _ask(
    seen: Observations, kind: str, texts: Sequence[str], prefixes: Mapping[InputType, str] | None = None, **changed: Any
) -> Flow[EmbeddingResult | None]:
    """Embed texts and keep their rows; None if that fails, or has failed before: then it is not sent again."""
    if kind in seen.errors:
        return None
    try:
        result = yield from run_alone(seen.session.call(replace(seen.options, **changed), texts))
    except ENDS_A_CHECK:
        raise
    except EmbeddingError as error:
        seen.errors[kind] = error
        return None
    seen.keep(kind, result, texts)
    for side, prefix in (prefixes or {}).items():
        seen.keep(f"{side} prefix", result, texts, prefix)
    return result


def _pin(seen: Observations) -> Flow[None]:
    """Ask for the one text again, of the provider that served it alone; of anyone, if that is refused."""
    free, endpoint = seen.options, (yield from _endpoint_to_pin(seen))
    if endpoint is not None:
        seen.pin, seen.options = endpoint, pinned_to(free, endpoint.tag)
    again = yield from _ask(seen, "single", [TEXT])
    if again is None and seen.pin is not None:
        seen.pin, seen.options = None, free
        del seen.errors["single"]
        yield from _ask(seen, "single", [TEXT])


def _endpoint_to_pin(seen: Observations) -> Flow[Endpoint | None]:
    """Return who served the first request, or where it does not say, the first choice of the user or the listing."""
    session = seen.session
    seconds = min(session.options.timeout, _LISTING_SECONDS)
    try:
        listed = yield from list_endpoints(session.gateway, session.given.model, timeout=seconds)
    except EmbeddingError:
        return None
    seen.has_one_provider = len(listed) == 1
    wanted = preferences(session.options)
    allowed = narrowed(listed, wanted)
    for name in seen.first.providers:
        allowed = endpoints_named(name, allowed)
    ordered = [endpoint for slug in wanted.get("order") or () for endpoint in narrowed(allowed, {"only": [slug]})]
    return next(iter([*ordered, *allowed]), None)


def _ask_batch(seen: Observations) -> Flow[None]:
    """Ask for as many texts as one request may hold: after each refusal, for half as many.

    The texts are harmless: whatever the words of a refusal, it is the number that is refused. Where two are refused, a
    request holds one text.
    """
    most = min(MAX_INPUTS, seen.profile.max_inputs or MAX_INPUTS)
    # The one text in the second place, and longer ones after it: a server that sorts, turns or reverses a batch moves it.
    texts = ["text 0", *_TEXTS, *(" ".join(PROBES[:count]) for count in (2, 3))]
    texts += [f"text {number}" for number in range(1, most - len(texts) + 1)]
    try:
        while most > 1:
            call = seen.session.call(seen.options, texts[:most])
            diagnosis = yield from send_until_settled(call, Batch(range(most), sum(call.inputs.sizes), is_a_try=True))
            if diagnosis is None:
                seen.moved_to = _other_place(seen.first.embeddings[0], call.result().embeddings)
                seen.keep("batch", call.result(), texts)
                break
            if diagnosis.remedy not in {Remedy.SPLIT, Remedy.ISOLATE}:
                raise call.error(diagnosis, range(most))
            most, seen.refused = most // 2, most
        seen.accepted = most
    except ENDS_A_CHECK:
        raise
    except EmbeddingError as error:
        seen.errors["batch"] = error


def _other_place(alone: Matrix, rows: Matrix) -> int | None:
    if rows.shape[1:] != alone.shape:
        return None
    found = cosines(np.broadcast_to(alone, rows.shape), rows)
    own, found[_PLACE] = float(found[_PLACE]), -1.0
    nearest = int(np.argmax(found))
    return nearest if found[nearest] >= own else None


def _ask_in_turns(seen: Observations) -> Flow[None]:
    """Ask for the texts unmarked and marked, in turns: what changes with time changes both alike.

    Each turn begins with another kind. Else providers that take turns, too, would answer one kind each.
    """
    prefixes = {side: mark.prefix for side, mark in seen.marks().items() if mark.prefix}
    values = seen.values()
    alone = {side: prefix for side, prefix in prefixes.items() if not seen.marks()[side].input_type}
    kinds: list[InputType | None] = [None, *values]
    for turn in range(_ROUNDS[len(values)]):
        first = turn % len(kinds)
        for side in (*kinds[first:], *kinds[:first]):
            if side is None:
                yield from _ask(seen, "texts", _texts(seen, alone, turn), alone)
                continue
            own = {side: prefixes[side]} if side in prefixes.keys() - alone.keys() else {}
            yield from _ask(seen, side, _texts(seen, own, turn), own, document_input_type=values[side])


def _texts(seen: Observations, prefixes: Mapping[InputType, str], turn: int) -> list[str]:
    """Return the texts of one request. The last makes no two alike, so that none is answered from a store."""
    texts = _TEXTS[: max(1, (seen.room - 1) // (1 + len(prefixes)))]
    marked = [prefix + text for prefix in prefixes.values() for text in texts]
    return [*texts, *marked, f"text {turn}"][: seen.room]


def _shorter(profile: Profile, native: int) -> int | None:
    """Return a width below the native one that the model should give, or may."""
    allowed = profile.selectable
    if isinstance(allowed, frozenset):
        return max((width for width in allowed if width < native), default=None)
    least = allowed[0] if allowed is not None else 1
    half = max(native // 2, least)
    return half if half < native else None
