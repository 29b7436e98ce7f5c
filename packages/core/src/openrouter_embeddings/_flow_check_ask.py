"""How a model check asks: small live requests of plain texts, each answer looked at before it is read. Pure.

`Seen` keeps what was found; `_flow_check_model` tells which questions are asked, and what an answer means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ._effects import Failure, Flow, Reply, Send
from ._flow import settle
from ._flow_checks import ENDS_A_CHECK, Inquiry, answered, cosines
from ._job import Job
from ._learned import Learned
from ._limits import Signal
from ._plan import Batch
from ._retry import Remedy
from .checks import FAILED, Finding
from .errors import EmbeddingError
from .inputs import InputType
from .options import Options
from .profiles import Profile
from .results import EmbeddingResult, Matrix

T = TypeVar("T")
_BASE64 = re.compile(rb'"embedding"\s*:\s*"')


@dataclass(slots=True)
class Seen:
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

    def same(self, cosine: float, slack: float) -> bool:
        """Say whether a cosine falls short of 1 by no more than `slack`, and the noise of the answers."""
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


def ask(seen: Seen, texts: Sequence[str], **changed: Any) -> Flow[EmbeddingResult]:
    """Embed texts unmarked, but for the options that are changed."""
    result = yield from overheard(answered(_job(seen, texts, **changed)), seen)
    seen.results.append(result)
    return result


def ask_most(seen: Seen, texts: Sequence[str]) -> Flow[tuple[EmbeddingResult | None, int]]:
    """Embed as many of these texts, unmarked, as one request may hold: after each refusal half as many are tried.

    The texts are harmless: whatever the words of a refusal, it is the number that is refused. Returned beside the result
    is the least number that was refused, or 0. Where two are refused, one by one is the way, and there is no result.
    """
    most, refused = len(texts), 0
    while most > 1:
        job = _job(seen, texts[:most])
        job.learned.max_inputs = most
        trouble = yield from overheard(settle(job, Batch(range(most), sum(job.sizes))), seen)
        if trouble is None:
            seen.results.append(job.result())
            return seen.results[-1], refused
        if trouble.remedy not in {Remedy.SPLIT, Remedy.ISOLATE}:
            raise job.error(trouble, range(most), attempts=1)
        most, refused = most // 2, most
    return None, refused


def _job(seen: Seen, texts: Sequence[str], **changed: Any) -> Job:
    options = replace(unmarked(seen.inquiry.options), **changed)
    learned = seen.inquiry.lessons(options)
    learned.encoding = seen.learned.encoding if seen.results else None
    seen.learned = learned
    return seen.inquiry.job(options, texts, learned)


def overheard(flow: Flow[T], seen: Seen) -> Flow[T]:
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


def _listening(effect: Send[Any], seen: Seen) -> Send[Any]:
    def read(answer: Reply | Failure) -> tuple[Any, Signal]:
        seen.in_base64 = isinstance(answer, Reply) and _BASE64.search(answer.body) is not None
        return effect.read(answer)

    return replace(effect, read=read)
