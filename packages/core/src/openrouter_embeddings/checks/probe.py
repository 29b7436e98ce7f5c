"""How a model check asks: small live requests of plain texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openrouter_embeddings._flows import Batch, EmbedCall, Flow, LearnedLimits, send_until_settled
from openrouter_embeddings._protocol import Remedy
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import Profile
from openrouter_embeddings.results import EmbeddingResult, Matrix

from .reports import FAILED, Finding
from .session import ENDS_A_CHECK, CheckSession, cosines, run_alone


@dataclass(slots=True)
class Observations:
    """What was found out so far."""

    session: CheckSession
    findings: list[Finding] = field(default_factory=list)
    results: list[EmbeddingResult] = field(default_factory=list)
    learned: LearnedLimits = field(init=False)
    noise: float = 0.0
    marked: dict[InputType, Matrix] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """The profile that the model is held against."""
        return self.session.profile

    def record(self, name: str, verdict: str, detail: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(name=name, verdict=verdict, detail=detail))

    def record_error(self, name: str, error: EmbeddingError) -> None:
        """Add an error as a finding; what is wrong with the account ends the check."""
        if isinstance(error, ENDS_A_CHECK):
            raise error
        self.record(name, FAILED + type(error).__name__, error.message)

    def same(self, cosine: float, slack: float) -> bool:
        """Return whether a cosine falls short of 1 by no more than `slack`, and the noise of the answers."""
        return 1.0 - cosine <= slack + 4.0 * self.noise


def cosine(first: Matrix, second: Matrix) -> float:
    """Return the cosine of two embeddings; of two widths there is none, which is 0."""
    return float(cosines(first[None], second[None])[0]) if first.shape == second.shape else 0.0


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


def embed_probe(seen: Observations, texts: Sequence[str], **changed: Any) -> Flow[EmbeddingResult]:
    """Embed texts unmarked, but for the options that are changed."""
    result = yield from run_alone(_call(seen, texts, **changed))
    seen.results.append(result)
    return result


def find_largest_batch(seen: Observations, texts: Sequence[str]) -> Flow[tuple[EmbeddingResult | None, int]]:
    """Embed as many of these texts, unmarked, as one request may hold: after each refusal half as many are tried.

    The texts are harmless: whatever the words of a refusal, it is the number that is refused. Returned beside the result
    is the least number that was refused, or 0. Where two are refused, one by one is the way, and there is no result.
    """
    most, refused = len(texts), 0
    while most > 1:
        call = _call(seen, texts[:most])
        batch = Batch(range(most), sum(call.inputs.sizes), is_a_try=True)
        diagnosis = yield from send_until_settled(call, batch)
        if diagnosis is None:
            seen.results.append(call.result())
            return seen.results[-1], refused
        if diagnosis.remedy not in {Remedy.SPLIT, Remedy.ISOLATE}:
            raise call.error(diagnosis, range(most))
        most, refused = most // 2, most
    return None, refused


def _call(seen: Observations, texts: Sequence[str], **changed: Any) -> EmbedCall:
    options = replace(unmarked(seen.session.options), **changed)
    seen.learned = seen.session.initial_limits(options)
    return seen.session.call(options, texts, seen.learned)
