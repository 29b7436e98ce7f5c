"""The story of a call, told by hand: no server, no clock, no thread."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import numpy as np
import pytest

from openrouter_embeddings import MemoryCache, errors
from openrouter_embeddings._flows.batches import Batch
from openrouter_embeddings._flows.delivery import settle
from openrouter_embeddings._flows.effects import CachePut, Gather, NotSent, NotSentReason, Send, Sent, Sleep
from openrouter_embeddings._flows.embed import embed
from openrouter_embeddings._flows.learned import LearnedLimits
from openrouter_embeddings._flows.listing import list_models
from openrouter_embeddings._flows.prepare import prepare
from openrouter_embeddings._protocol.diagnosis import Remedy
from openrouter_embeddings._protocol.exchange import Response, TransportFailure, TransportFault
from openrouter_embeddings.gateways import OPENROUTER
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import profile_for

MODEL = "openai/text-embedding-3-small"


def job_of(texts: list[str], **options):
    checked = Options(model=MODEL, api_key="secret-key", **options)
    job = prepare(checked, LearnedLimits.initial(checked, profile_for(MODEL)), texts, "document")
    return job, job.missing(), job.sizes


def landed(body: bytes, *, width: int = 2) -> Response:
    """Answer as a faultless gateway would: the first number is the input's own."""
    inputs = json.loads(body)["input"]
    rows = [np.array([float(text), *[1.0] * (width - 1)], dtype="<f4") for text in inputs]
    data = [{"index": at, "embedding": base64.b64encode(one.tobytes()).decode()} for at, one in enumerate(rows)]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs), "cost": 0.001}
    return Response(200, {}, json.dumps({"data": data, "model": "m", "usage": usage}).encode())


def refusal(status: int, message: str = "no", **headers: str) -> Response:
    return Response(status, headers, json.dumps({"error": {"code": status, "message": message}}).encode())


def answered(
    effect: Send, answer: Response | TransportFailure, *, waited: float = 0.0, may_replay: bool = True
) -> Sent:
    verdict, _signal = effect.read(answer)
    return Sent(verdict, waited, may_replay, 0.5)


def play(flow, world: Callable[[Send, bytes], object]):
    """Drive a flow by hand: `world` answers each request; pauses are never disturbed."""
    answer = None
    while True:
        try:
            effect = flow.send(answer)
        except StopIteration as done:
            return done.value
        match effect:
            case Gather(flows):
                answer = []
                for inner in flows:
                    try:
                        answer.append(play(inner, world))
                    except Exception as failed:
                        answer.append(failed)
            case Sleep():
                answer = True
            case Send():
                body = effect.build()
                answer = NotSent(NotSentReason.NO_LONGER_NEEDED) if body is None else world(effect, body)


def faultless(effect: Send, body: bytes):
    return answered(effect, landed(body))


def numbers(count: int) -> list[str]:
    return [str(one) for one in range(1, count + 1)]


def test_a_503_with_a_time_is_waited_for_and_sent_again():
    job, todo, sizes = job_of(["1"])
    flow = settle(job, Batch(todo, sizes[0]))
    effect = next(flow)
    body = effect.build()
    again = flow.send(answered(effect, refusal(503, **{"retry-after": "7"})))
    assert isinstance(again, Send)
    assert again.build() == body
    assert again.patience == 300.0
    with pytest.raises(StopIteration) as done:
        flow.send(answered(again, landed(body), waited=7.0))
    assert done.value.value is None
    assert job.usage().requests == 2
    assert job.usage().retries == 1


def test_waiting_is_taken_off_the_patience():
    job, todo, _ = job_of(["1"], retry_timeout=10.0)
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    effect = flow.send(answered(effect, refusal(429, **{"retry-after": "4"}), waited=4.0))
    assert effect.patience == 6.0
    with pytest.raises(errors.RateLimitError) as caught:
        flow.send(answered(effect, refusal(429, **{"retry-after": "6.5"})))
    assert caught.value.retry_after == 6.5
    assert str(caught.value) == (
        "Rate limited at openrouter: model 'openai/text-embedding-3-small', input 0 of 1, 2 attempts."
        " It says: 'no'. Lower max_concurrency or raise retry_timeout."
    )


@pytest.mark.parametrize(
    "fault",
    [
        TransportFailure(TransportFault.CONNECTION_LOST),
        TransportFailure(TransportFault.TIMED_OUT),
        refusal(500),
        refusal(502),
    ],
    ids=["cut", "late", "500", "502"],
)
@pytest.mark.parametrize("max_replays", [0, 1, 3])
def test_what_may_have_been_billed_is_sent_again_as_often_as_allowed(fault, max_replays):
    job, todo, _ = job_of(["1"], max_replays=max_replays)
    with pytest.raises(errors.EmbeddingError):
        play(settle(job, Batch(todo, 1)), lambda effect, body: answered(effect, fault))
    usage = job.usage()
    assert (usage.requests, usage.retries, usage.replays) == (max_replays + 1, max_replays, max_replays)


def test_a_retry_of_what_was_surely_not_billed_is_no_replay():
    job, todo, _ = job_of(["1"])
    answers = iter([refusal(503, **{"retry-after": "1"}), None])

    def world(effect, body):
        return answered(effect, next(answers) or landed(body))

    assert play(settle(job, Batch(todo, 1)), world) is None
    assert (job.usage().retries, job.usage().replays) == (1, 0)


def test_what_the_gateway_answers_from_its_own_cache_is_counted_and_says_nothing_about_prices():
    job, todo, _ = job_of(["1"], max_cost=1.0)
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    free = json.loads(landed(effect.build()).body) | {"usage": {"prompt_tokens": 0, "total_tokens": 0}}
    verdict, signal = effect.read(Response(200, {"x-openrouter-cache-status": "HIT"}, json.dumps(free).encode()))
    assert signal.cost is None
    with pytest.raises(StopIteration):
        flow.send(Sent(verdict, 0.0, True, 0.5))
    assert (job.usage().server_cached, job.usage().cost) == (1, 0.0)


def test_a_wider_answer_is_cut_and_scaled_only_where_the_user_and_the_family_allow_it():
    def answer(**options):
        job, todo, _ = job_of(["3"], dimensions=1024, **options)
        played = play(settle(job, Batch(todo, 1)), lambda effect, body: answered(effect, landed(body, width=1536)))
        return job, played

    job, _ = answer(dimensions_fallback=True)
    row = job.result().embeddings[0]
    assert row.shape == (1024,)
    assert np.linalg.norm(row) == pytest.approx(1.0, rel=1e-6)
    assert row[0] == pytest.approx(3 * row[1], rel=1e-6)
    with pytest.raises(errors.ResponseError, match=r"1536 dimensions where 1024 were asked for.*dimensions_fallback"):
        answer()


@pytest.mark.parametrize(
    "fault",
    [
        TransportFailure(TransportFault.CONNECTION_LOST),
        TransportFailure(TransportFault.TIMED_OUT),
        refusal(500),
        refusal(502),
    ],
)
def test_what_may_have_been_billed_is_sent_twice_at_most(fault):
    job, todo, _ = job_of(["1"])
    sent = []

    def world(effect, body):
        sent.append(body)
        return answered(effect, fault)

    with pytest.raises(errors.EmbeddingError, match="2 attempts"):
        play(settle(job, Batch(todo, 1)), world)
    assert len(sent) == 2


def test_what_was_surely_not_billed_is_tried_until_max_retries():
    job, todo, _ = job_of(["1"], max_retries=3)
    sent = []

    def world(effect, body):
        sent.append(body)
        return answered(effect, TransportFailure(TransportFault.REFUSED, "ConnectError"))

    with pytest.raises(errors.ConnectionFailedError, match=r"Could not connect \(ConnectError\)"):
        play(settle(job, Batch(todo, 1)), world)
    assert len(sent) == 4


def test_in_an_outage_nothing_is_replayed():
    job, todo, _ = job_of(["1"])
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    with pytest.raises(errors.ServerError):
        flow.send(answered(effect, refusal(500), may_replay=False))


def test_a_pause_longer_than_the_patience_is_not_begun():
    job, todo, _ = job_of(["1"], retry_timeout=0.1)
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    with pytest.raises(errors.ServerError):
        flow.send(answered(effect, refusal(500)))


def test_a_stopped_pause_ends_the_flow_without_an_error_of_its_own():
    job, todo, _ = job_of(["1"])
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    assert isinstance(flow.send(answered(effect, refusal(500))), Sleep)
    with pytest.raises(Exception) as caught:
        flow.send(False)
    assert not isinstance(caught.value, errors.EmbeddingError)


@pytest.mark.parametrize(
    ("why", "kind", "said"),
    [
        (NotSent(NotSentReason.BREAKER_OPEN, retry_after=400.0), errors.RateLimitError, "Rate limited"),
        (NotSent(NotSentReason.OVER_BUDGET, spent=4.98), errors.BudgetExceededError, "4.98 USD spent"),
    ],
)
def test_what_may_not_leave_is_an_error_that_says_why(why, kind, said):
    job, todo, _ = job_of(["1"])
    flow = settle(job, Batch(todo, 1))
    next(flow)
    with pytest.raises(kind, match=said):
        flow.send(why)


def test_base64_refused_is_asked_for_as_floats_once_and_remembered():
    job, _todo, _sizes = job_of(numbers(3), batch_size=1)
    asked = []

    def world(effect, body):
        encoding = json.loads(body)["encoding_format"]
        asked.append(encoding)
        return answered(effect, refusal(400, "base64 is not supported") if encoding == "base64" else landed(body))

    result = play(embed(job, workers=1), world)
    assert asked == ["base64", "float", "float", "float"]
    assert result.embeddings[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_empty_data_for_base64_is_asked_for_as_floats():
    job, _todo, _sizes = job_of(["1"])
    asked = []

    def world(effect, body):
        asked.append(json.loads(body)["encoding_format"])
        return answered(effect, Response(200, {}, b'{"data":[]}') if asked[-1] == "base64" else landed(body))

    play(embed(job, workers=1), world)
    assert asked == ["base64", "float"]


def test_a_batch_too_large_is_split_and_the_limit_is_learnt():
    job, _todo, _sizes = job_of(numbers(256))
    refused = []

    def world(effect, body):
        count = len(json.loads(body)["input"])
        if count > 50:
            refused.append(count)
            return answered(effect, refusal(400, f"too many inputs: {count}"))
        return answered(effect, landed(body))

    result = play(embed(job, workers=4), world)
    assert refused == [256, 128, 64]
    assert job.learned.max_inputs == 32
    assert result.embeddings[:, 0].tolist() == [float(one) for one in range(1, 257)]


@pytest.mark.parametrize(
    "bad", [{1}, {100}, {37}, {1, 2}, {50, 51}, {1, 64, 100}, set(range(1, 100)), set(range(3, 9))]
)
def test_the_culprits_are_named_and_everything_else_is_kept(bad: set[int]):
    job, _todo, _sizes = job_of(numbers(100))
    sent = []

    def world(effect, body):
        inputs = json.loads(body)["input"]
        sent.append(len(inputs))
        return answered(effect, refusal(400, "bad input") if bad & set(map(int, inputs)) else landed(body))

    with pytest.raises(errors.InvalidRequestError) as caught:
        play(embed(job, workers=4), world)
    partial = caught.value.partial
    assert {at + 1 for at in partial.positions_failed} == bad
    assert caught.value.positions == tuple(sorted(at - 1 for at in bad))
    done = [at for at in range(100) if at + 1 not in bad]
    assert partial.positions_done == tuple(done)
    assert partial.embeddings[done, 0].tolist() == [at + 1.0 for at in done]
    assert np.isnan(partial.embeddings[[at - 1 for at in bad]]).all()
    if len(bad) == 1:
        assert len(sent) <= 1 + 12, "one bad input in a batch of 100 costs at most 12 requests more"


def test_where_every_input_is_refused_the_request_is_at_fault_not_each_input():
    job, _todo, _sizes = job_of(numbers(256))
    sent = []

    def world(effect, body):
        sent.append(body)
        return answered(effect, refusal(400, "no such thing"))

    with pytest.raises(errors.InvalidRequestError) as caught:
        play(embed(job, workers=4), world)
    assert len(caught.value.positions) == 256
    assert len(sent) < 16


def test_a_different_error_while_isolating_ends_the_job():
    job, _todo, _sizes = job_of(numbers(8))

    def world(effect, body):
        return answered(effect, refusal(400 if len(json.loads(body)["input"]) == 8 else 402))

    with pytest.raises(errors.InsufficientCreditsError):
        play(embed(job, workers=1), world)


def test_after_402_nothing_more_is_asked_for_and_what_landed_rides_on_the_error():
    job, _todo, _sizes = job_of(numbers(4), batch_size=1)
    answers = iter([landed, landed, lambda _: refusal(402)])

    with pytest.raises(errors.InsufficientCreditsError) as caught:
        play(embed(job, workers=1), lambda effect, body: answered(effect, next(answers)(body)))
    partial = caught.value.partial
    assert partial.positions_done == (0, 1)
    assert set(partial.positions_failed) == {2, 3}
    assert str(caught.value).endswith(
        "2 of 4 embeddings landed and are in .partial. Pass resume=error.partial to embed only the rest."
    )
    assert repr(partial).startswith("Partial(done=2, failed=2, usage=Usage(")


def test_resume_pays_only_for_the_rest():
    job, _todo, _sizes = job_of(["1", "2", "2", "3"], batch_size=1)
    answers = iter([landed, lambda _: refusal(401)])
    with pytest.raises(errors.AuthenticationError) as caught:
        play(embed(job, workers=1), lambda effect, body: answered(effect, next(answers)(body)))
    checked = Options(model=MODEL, api_key="secret-key")
    texts = ["1", "2", "2", "3"]
    lessons = LearnedLimits.initial(checked, profile_for(MODEL))
    job = prepare(checked, lessons, texts, "document", resume=caught.value.partial)
    sent = []

    def world(effect, body):
        sent.extend(json.loads(body)["input"])
        return answered(effect, landed(body))

    result = play(embed(job, workers=1), world)
    assert sent == ["2", "3"]
    assert result.embeddings[:, 0].tolist() == [1.0, 2.0, 2.0, 3.0]


def test_a_gateway_that_names_no_cost_cannot_keep_max_cost():
    job, _todo, _sizes = job_of(["1", "2"], batch_size=1, max_cost=1.0)

    def world(effect, body):
        body = landed(body)
        raw = json.loads(body.body)
        del raw["usage"]
        return answered(effect, Response(200, {}, json.dumps(raw).encode()))

    with pytest.raises(errors.BudgetExceededError, match="The answer named no cost") as caught:
        play(embed(job, workers=1), world)
    assert caught.value.partial.positions_done == (0,)


def test_a_mistake_of_ours_is_not_dressed_as_an_embedding_error():
    job, _todo, _sizes = job_of(["1"])

    def world(effect, body):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        play(embed(job, workers=1), world)


def test_another_width_than_before_is_broken():
    job, _todo, _sizes = job_of(numbers(2), batch_size=1)
    widths = iter([2, 3, 3])
    with pytest.raises(errors.ResponseError, match="have 3 dimensions, earlier ones had 2"):
        play(embed(job, workers=1), lambda effect, body: answered(effect, landed(body, width=next(widths))))


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cannot embed 'a private sentence about nobody'", ""),
        ("Bearer abc sk-or-v1-0123 is bad", "It says: '[key] [key] is bad'."),
    ],
)
def test_a_message_that_repeats_an_input_or_a_key_is_not_shown(message, shown):
    job, _todo, _sizes = job_of(["a private sentence about nobody"])
    with pytest.raises(errors.InvalidRequestError) as caught:
        play(embed(job, workers=1), lambda effect, _: answered(effect, refusal(400, message)))
    assert "private" not in str(caught.value)
    assert "sk-or" not in str(caught.value)
    assert shown in str(caught.value)


def test_an_unwanted_request_is_planned_again():
    job, todo, _ = job_of(numbers(4))
    flow = settle(job, Batch(todo, 4))
    effect = next(flow)
    job.learned.max_inputs = 2
    assert effect.build() is None
    with pytest.raises(StopIteration) as done:
        flow.send(NotSent(NotSentReason.NO_LONGER_NEEDED))
    assert done.value.value.remedy is Remedy.SPLIT


def test_a_call_that_never_left_is_told_what_closed_the_gate():
    job, todo, _ = job_of(["1"])
    flow = settle(job, Batch(todo, 1))
    effect = next(flow)
    _, signal = effect.read(refusal(503, **{"retry-after": "900"}))
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        flow.send(NotSent(NotSentReason.BREAKER_OPEN, retry_after=900.0, cause=signal.cause))
    assert caught.value.retry_after == 900.0


def test_a_listing_that_answers_without_content_is_an_error_of_ours():
    flow = list_models(OPENROUTER, timeout=60.0)
    flow.send(None)
    with pytest.raises(errors.ResponseError, match=r"status 204 while listing the models of openrouter"):
        while True:
            flow.send(Response(204, {}, b""))


def test_what_landed_is_kept_though_the_call_ends_while_it_is_written_down():
    job, todo, _ = job_of(numbers(3), cache=MemoryCache())
    flow = settle(job, Batch(todo, 3))
    request = next(flow)
    assert isinstance(flow.send(answered(request, landed(request.build()))), CachePut)
    flow.close()
    assert not job.missing()
    assert job.usage().prompt_tokens == 3
