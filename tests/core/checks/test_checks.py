"""The live checks, against the local gateway; what is pure in them, by hand."""

from __future__ import annotations

import asyncio
import json
import pickle
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    Client,
    ConfigurationError,
    ConsistencyCheck,
    EmbeddingError,
    Finding,
    InputError,
    InsufficientCreditsError,
    MemoryCache,
    ModelCheck,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderCheck,
    ResponseError,
    Usage,
)
from openrouter_embeddings._flows.effects import Fetch, Send, Sent, Sleep
from openrouter_embeddings._flows.listing import list_endpoints
from openrouter_embeddings._protocol.exchange import Response, TransportFailure, TransportFault
from openrouter_embeddings._protocol.listings import Endpoint, narrowed, read_endpoints
from openrouter_embeddings.checks.consistency import agreement, pinned_to
from openrouter_embeddings.checks.model import check_model
from openrouter_embeddings.checks.session import PROBES, CheckSession
from openrouter_embeddings.gateways import INFRON, OPENROUTER
from openrouter_embeddings.options import Options

PLAIN = "openai/text-embedding-3-small"
BY_VALUE = "voyageai/voyage-4"
BY_PREFIX = "qwen/qwen3-embedding-8b"
SMALL_BATCH = "baai/bge-m3"
NO_PROFILE = "someone/unheard-of"
DIFFERS = "differs from the profile"
KEY = "sk-test-key"


@pytest.fixture
def make(embeddings_gateway):
    """Make clients of the local gateway."""

    def build(model: str = BY_VALUE, **options) -> Client:
        return Client(model, **{"api_key": KEY, "base_url": embeddings_gateway.base_url} | options)

    return build


def model_sync(client: Client) -> ModelCheck:
    return client.check_model()


def model_async(client: Client) -> ModelCheck:
    return asyncio.run(client.as_async().check_model())


def consistency_sync(client: Client, texts=None) -> ConsistencyCheck:
    return client.check_consistency(texts)


def consistency_async(client: Client, texts=None) -> ConsistencyCheck:
    return asyncio.run(client.as_async().check_consistency(texts))


check_model = pytest.mark.parametrize("check", [model_sync, model_async], ids=["sync", "async"])
check_consistency = pytest.mark.parametrize("check", [consistency_sync, consistency_async], ids=["sync", "async"])

# ---------------------------------------------------------------------------------------------------------- check_model


@check_model
@pytest.mark.parametrize("model", [PLAIN, BY_VALUE, BY_PREFIX, SMALL_BATCH, NO_PROFILE])
def test_a_model_that_keeps_its_profile_is_ok(make, embeddings_gateway, check, model):
    client = make(model)
    found = check(client)
    assert found.ok, str(found)
    assert [one.name for one in found.findings] == [
        "answers",
        "native dimensions",
        "base64",
        "normalised",
        "deterministic",
        "batch size",
        "batch equals single",
        "input_type",
        "query marking",
        "document marking",
        "dimensions",
        "dimensions are a cut",
        "served by",
    ]
    requests = embeddings_gateway.embedding_requests()
    assert len(requests) == found.usage.requests <= 6
    assert found.usage == client.usage
    assert found["served by"].detail == "local"


def test_what_is_seen_is_told_in_numbers(make):
    found = make().check_model()
    assert found["native dimensions"].detail == "1024; the profile says 1024"
    assert found["base64"].detail == "honoured"
    assert found["input_type"].detail.startswith("honoured; cosines: 'query' to none 0.98")
    assert "query to document 0.97" in found["input_type"].detail
    assert found["query marking"].detail.startswith("input_type 'query': cosine 0.98")
    assert found["deterministic"].detail == "cosine 1.000000 to the first answer, no number off by more than 0"
    assert found["dimensions"].detail == "512 asked for, 512 came"
    assert found["dimensions are a cut"].detail == "cosine 1.000000 to the first 512 numbers of the full embedding"
    by_prefix = make(BY_PREFIX).check_model()
    assert by_prefix["query marking"].detail.startswith("a prefix: cosine 0.98")
    assert by_prefix["document marking"].detail == "none"
    assert by_prefix["input_type"].detail.startswith("ignored")


def test_the_batch_is_as_large_as_the_profile_says_and_no_larger_than_256(make, embeddings_gateway):
    for model, most in ((SMALL_BATCH, 100), (PLAIN, 256), (NO_PROFILE, 256)):
        embeddings_gateway.reset()
        found = make(model, batch_size=2, batch_tokens=10).check_model()
        assert found["batch size"].detail == f"{most} inputs in a request"
        assert max(one.inputs for one in embeddings_gateway.embedding_requests()) == most


def test_a_batch_that_is_refused_tells_what_is_accepted(make, embeddings_gateway):
    embeddings_gateway.trouble("refuse_batch", limit=70, times=None)
    known, unknown = make(PLAIN).check_model(), make(NO_PROFILE).check_model()
    assert known["batch size"] == Finding(
        name="batch size", verdict=DIFFERS, detail="64 inputs in a request; 128 were refused"
    )
    assert unknown["batch size"].verdict == "unknown"
    assert known["batch equals single"].ok
    assert known.usage.requests == 5 + 2  # 256 and 128 were refused; the rest of the batch is not sent piecemeal
    assert not known.ok
    assert unknown.ok


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("refuse_base64", "refused, floats are asked for"),
        ("empty_base64", "refused, floats are asked for"),
        ("answer_floats", "floats came back"),
    ],
)
def test_base64_that_is_not_honoured_is_seen(make, embeddings_gateway, kind, detail):
    embeddings_gateway.trouble(kind, times=None)
    found = make().check_model()
    assert (found["base64"].verdict, found["base64"].detail) == (DIFFERS, detail)
    assert found.usage.requests <= 6 + 1  # what was learnt at the first request holds for the others
    assert [one.name for one in found.findings if not one.ok] == ["base64"]


def test_a_mark_that_is_not_heard_is_seen(make):
    found = make(query_input_type="nonsense", document_input_type="nonsense").check_model()
    assert found["input_type"].verdict == found["query marking"].verdict == DIFFERS
    assert found["input_type"].detail.startswith("ignored")
    assert "no effect" in found["document marking"].detail


def test_a_mark_heard_on_one_side_only_is_told_apart(make):
    found = make(query_input_type="nonsense").check_model()
    assert found["input_type"].verdict == DIFFERS
    assert found["input_type"].detail.startswith("honoured in part")
    assert (found["query marking"].verdict, found["document marking"].verdict) == (DIFFERS, "ok")


def test_a_mark_of_value_and_prefix_is_tried_as_it_is_sent(make, embeddings_gateway):
    found = make(query_input_type="query", query_prefix="find: ").check_model()
    assert "a prefix and input_type 'query'" in found["query marking"].detail
    bodies = [one.body for one in embeddings_gateway.embedding_requests()]
    sent = [body["input"] for body in bodies if body.get("input_type") == "query"]
    assert sent == [[PROBES[0], "find: " + PROBES[0]]]


def test_dimensions_that_are_ignored_are_seen(make, embeddings_gateway):
    embeddings_gateway.trouble("ignore_dimensions", times=None)
    found = make(dimensions_fallback=True).check_model()
    assert found["dimensions"] == Finding(name="dimensions", verdict=DIFFERS, detail="512 asked for, 1024 came")
    assert found["dimensions are a cut"].verdict == "unknown"


def test_the_users_own_dimensions_are_tried(make):
    assert make(dimensions=256).check_model()["dimensions"].detail == "256 asked for, 256 came"
    refused = make(SMALL_BATCH, dimensions=256).check_model()["dimensions"]
    assert (refused.verdict, refused.detail) == (DIFFERS, "256 is refused (InvalidRequestError)")


def test_another_native_width_is_seen(make, embeddings_gateway):
    embeddings_gateway.trouble("wrong_width", times=None)
    found = make().check_model()
    assert found["native dimensions"] == Finding(
        name="native dimensions", verdict=DIFFERS, detail="512; the profile says 1024"
    )


def test_an_answer_that_changes_is_seen_and_is_no_mark(make, embeddings_gateway):
    embeddings_gateway.trouble("quantised", times=1)
    found = make(PLAIN).check_model()
    assert found["deterministic"].verdict == DIFFERS
    assert "no number off by more than 0.00" in found["deterministic"].detail
    assert found["input_type"].detail.startswith("ignored")


@pytest.mark.parametrize("after", [2, 3, 4], ids=["batch", "input_type", "dimensions"])
def test_a_host_that_rounds_is_no_mark_and_no_other_batch(make, embeddings_gateway, after):
    embeddings_gateway.trouble("quantised", after=after, times=1)
    found = make(PLAIN).check_model()
    assert found.ok, str(found)


def test_a_length_that_is_not_one_is_held_against_the_profile(make):
    assert make("perplexity/pplx-embed-v1-0.6b").check_model()["normalised"].verdict == "ok"
    assert make().check_model()["normalised"].detail == "length 1.0000"


@check_model
def test_a_model_that_does_not_answer_is_one_finding(make, embeddings_gateway, check):
    embeddings_gateway.trouble("status", status=403, times=None)
    found = check(make())
    assert [(one.name, one.verdict) for one in found.findings] == [("answers", "failed: PermissionDeniedError")]
    assert not found.ok
    assert found.usage.requests == 1


@pytest.mark.parametrize(
    ("after", "name"),
    [(1, "deterministic"), (2, "batch"), (3, "input_type"), (4, "input_type"), (5, "dimensions")],
)
def test_what_fails_later_is_a_finding_and_the_rest_goes_on(make, embeddings_gateway, after, name):
    embeddings_gateway.trouble("status", status=403, after=after, times=1)
    found = make().check_model()
    assert [one.name for one in found.findings if not one.ok] == [name]
    assert found[name].verdict == "failed: PermissionDeniedError"
    assert found["served by"].ok
    assert found.usage.requests == 6 - (after == 3)


@check_model
@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (402, InsufficientCreditsError)])
def test_what_is_wrong_with_the_account_ends_a_model_check(make, embeddings_gateway, check, after, status, error):
    embeddings_gateway.trouble("status", status=status, after=after, times=1)
    client = make()
    with pytest.raises(error):
        check(client)
    assert client.usage.requests == after + 1


def test_trouble_that_passes_is_retried_and_counted(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=503, headers={"retry-after-ms": "1"})
    found = make().check_model()
    assert found.ok
    assert (found.usage.retries, found.usage.requests) == (1, 7)


def test_a_check_asks_no_cache_and_fills_none(make, embeddings_gateway):
    cache = MemoryCache()
    client = make(cache=cache)
    first, second = client.check_model(), client.check_model()
    client.check_consistency()
    assert first.usage == second.usage
    assert client.usage.cached == 0
    paid = embeddings_gateway.paid_inputs()
    client.embed_documents(list(PROBES))
    assert embeddings_gateway.paid_inputs() == paid + len(PROBES)


def test_the_gateways_own_cache_proves_nothing(make):
    found = make(server_cache=60).check_model()
    assert found["deterministic"].verdict == "unknown"
    assert "server_cache" in found["deterministic"].detail


def test_infron_is_checked_without_input_type(make, embeddings_gateway):
    found = make(PLAIN, gateway="infron").check_model()
    assert found["input_type"].detail == "none is sent, and no value is documented"
    assert not any("input_type" in one.body for one in embeddings_gateway.embedding_requests())


@check_model
def test_max_cost_holds_in_a_model_check(make, check):
    client = make(max_cost=1e-7)
    with pytest.raises(BudgetExceededError):
        check(client)
    assert client.usage.requests == 1


# ------------------------------------------------------------------------------- check_model, by hand and with any host

WIDTH = 1536


def numbers(text: str, width: int = WIDTH) -> list[float]:
    """Return what a host without a model answers: numbers of unit length that depend on the text alone."""
    row = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(width)
    return (row / np.linalg.norm(row)).tolist()


def host(rows: Callable[[dict], list[list[float]]], most: int = 256, refusal: str = "no") -> Callable[[dict], Response]:
    """Return a host that answers these rows, and refuses more inputs than `most`."""

    def answer(body: dict) -> Response:
        if len(body["input"]) > most:
            return reply(400, {"error": {"code": 400, "message": refusal}})
        data = [{"index": at, "embedding": row} for at, row in enumerate(rows(body))]
        return reply(200, {"data": data, "model": "m", "provider": f"p{len(data)}", "usage": {"cost": 0.0}})

    return answer


def tried(at: Callable[[dict], Response], model: str = PLAIN) -> ModelCheck:
    flow = check_model(CheckSession(Options(model=model, api_key=KEY), OPENROUTER))
    effect = next(flow)
    while True:
        assert isinstance(effect, Send)
        verdict, _ = effect.read(at(json.loads(effect.build())))
        try:
            effect = flow.send(Sent(verdict, 0.0, True, 0.5))
        except StopIteration as done:
            return done.value


def in_order(body: dict) -> list[list[float]]:
    """Cut as a model does that was trained for it; length is the client's to restore."""
    return [numbers(text)[: body.get("dimensions", WIDTH)] for text in body["input"]]


def test_a_host_by_hand_is_as_good_as_the_gateway():
    found = tried(host(in_order))
    assert [one.name for one in found.findings if not one.ok] == ["base64"]
    assert found["dimensions are a cut"].verdict == found["batch equals single"].verdict == "ok"
    assert found["served by"].detail == "p1, p256"


@pytest.mark.parametrize(
    "order",
    [
        lambda texts: texts[::-1],
        lambda texts: [*texts[1:], texts[0]],
        lambda texts: sorted(texts, key=len),
        lambda texts: sorted(texts, key=len, reverse=True),
    ],
    ids=["reversed", "rotated", "shortest first", "longest first"],
)
@pytest.mark.parametrize("model", [PLAIN, BY_PREFIX])
def test_a_batch_out_of_order_is_seen(order, model):
    found = tried(host(lambda body: in_order({**body, "input": order(body["input"])})), model)
    assert found["batch equals single"].verdict == DIFFERS
    assert "but 1.000000 in the place of input " in found["batch equals single"].detail


def test_a_host_that_answers_the_same_to_everything_is_seen():
    found = tried(host(lambda body: in_order({**body, "input": ["x"] * len(body["input"])})))
    assert found["batch equals single"].verdict == DIFFERS


def test_noise_is_no_mark():
    random = np.random.default_rng(5)

    def rows(body: dict) -> list[list[float]]:
        noise = random.standard_normal((len(body["input"]), WIDTH)) * 0.003
        return (np.array([numbers(text) for text in body["input"]]) + noise).tolist()

    found = tried(host(rows))
    assert found["deterministic"].verdict == DIFFERS
    assert "cosine 0.98" in found["deterministic"].detail
    assert found["input_type"].detail.startswith("ignored")


def test_a_batch_of_other_numbers_is_told_from_one_out_of_order():
    def rows(body: dict) -> list[list[float]]:
        alone = len(body["input"]) == 1
        return [numbers(text) if alone else [one + 0.002 for one in numbers(text)] for text in body["input"]]

    found = tried(host(rows))["batch equals single"]
    assert found.verdict == DIFFERS
    assert "place" not in found.detail


@pytest.mark.parametrize(("model", "verdict"), [(PLAIN, DIFFERS), (NO_PROFILE, "unknown")])
def test_a_shorter_embedding_that_is_no_cut_is_seen(model, verdict):
    def rows(body: dict) -> list[list[float]]:
        width = body.get("dimensions", WIDTH)
        return [numbers(f"{width} {text}", width) for text in body["input"]]

    found = tried(host(rows), model)
    assert found["dimensions"].verdict == "ok"
    assert found["dimensions are a cut"].verdict == verdict


@pytest.mark.parametrize("refusal", ["no", "too many inputs", "input[3] was rejected"])
def test_a_limit_is_found_in_few_requests_whatever_the_words_of_the_refusal(refusal):
    found = tried(host(in_order, most=10, refusal=refusal), NO_PROFILE)
    assert found["batch size"].detail == "8 inputs in a request; 16 were refused"
    assert found["batch equals single"].ok
    assert found.usage.requests == 6 + 5


def test_a_host_of_one_input_a_request_can_be_checked():
    found = tried(host(in_order, most=1), BY_PREFIX)
    assert (found["batch size"].verdict, found["batch size"].detail) == (
        "unknown",
        "1 input in a request; 2 were refused",
    )
    assert found["batch equals single"].verdict == "unknown"
    assert found["query marking"].verdict == "unknown"
    assert found["dimensions"].ok


def test_a_width_that_changes_is_seen():
    widths = iter([8, 4, 8, 8, 8, 8])

    def rows(body: dict) -> list[list[float]]:
        width = next(widths)
        return [numbers(text)[:width] for text in body["input"]]

    found = tried(host(rows), NO_PROFILE)["deterministic"]
    assert (found.verdict, found.detail) == (DIFFERS, "4 dimensions, 8 in the first answer")


# ---------------------------------------------------------------------------------------------------- check_consistency


@check_consistency
def test_providers_are_pinned_one_by_one_and_agree(make, embeddings_gateway, check):
    client = make(provider={"data_collection": "deny", "order": ["nearby"], "allow_fallbacks": True})
    found = check(client)
    assert [one.tag for one in found.providers] == ["local", "nearby"]
    assert [one.served_by for one in found.providers] == [("local",), ("nearby",)]
    assert [(one.ok, one.quantization, one.dimensions) for one in found.providers] == [(True, "fp32", 1024)] * 2
    assert found.agree(1.0)
    assert found.worst == 1.0
    assert found.lowest.shape == found.mean.shape == (2, 2)
    assert found.texts == len(PROBES) == 8
    bodies = [one.body for one in embeddings_gateway.embedding_requests()]
    pins = [{"data_collection": "deny", "only": [tag], "allow_fallbacks": False} for tag in ("local", "nearby")]
    assert sorted((body["provider"] for body in bodies), key=str) == sorted(pins, key=str)
    assert {body["input_type"] for body in bodies} == {"document"}
    assert found.usage == client.usage
    assert found.usage.requests == 2


@check_consistency
def test_a_provider_that_computes_in_int8_is_seen(make, embeddings_gateway, check):
    embeddings_gateway.trouble("quantised", provider="nearby", times=None)
    found = check(make())
    assert 0.999 < found.worst < 0.99999
    assert found.worst == found.lowest[0, 1] == found.lowest[1, 0] <= found.mean[0, 1]
    assert found.agree()
    assert not found.agree(0.99999)
    low, high = found.providers[1].norms
    assert low < 0.9999
    assert high > 1.0001
    assert "They agree: the lowest cosine is 0.9999" in str(found)


def test_documents_carry_their_prefix(make, embeddings_gateway):
    make("intfloat/e5-large-v2").check_consistency(["one", "two"])
    assert [one.body["input"] for one in embeddings_gateway.embedding_requests()] == [
        ["passage: one", "passage: two"]
    ] * 2


@check_consistency
def test_a_provider_that_fails_is_a_row(make, embeddings_gateway, check):
    embeddings_gateway.trouble("status", status=403, message="not here", times=1)
    found = check(make())
    (failed,) = found.failed
    (answered,) = [one for one in found.providers if one.ok]
    assert isinstance(failed.error, PermissionDeniedError)
    assert (failed.dimensions, failed.norms) == (None, None)
    assert answered.dimensions == 1024
    assert found.worst is None
    assert found.agree()
    assert found.usage.requests == 2
    assert f"{failed.tag}: PermissionDeniedError: Permission denied" in str(found)
    assert "fewer than two providers answered" in str(found)


def test_where_no_provider_answers_nothing_agrees(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=403, times=None)
    found = make().check_consistency()
    assert len(found.failed) == 2
    assert not found.agree(0.0)
    assert np.isnan(found.lowest).all()
    assert found.to_dict()["lowest"] == [[None, None], [None, None]]


def test_a_check_is_ok_where_all_answer_and_agree(make, embeddings_gateway):
    found = make().check_consistency()
    assert found.ok is found.to_dict()["ok"] is True
    embeddings_gateway.trouble("status", status=403, times=1)
    failed = make().check_consistency()
    assert failed.agree()
    assert failed.ok is failed.to_dict()["ok"] is False
    embeddings_gateway.trouble("wrong_width", times=1)
    assert not make().check_consistency().ok


def test_widths_that_differ_do_not_agree(make, embeddings_gateway):
    embeddings_gateway.trouble("wrong_width", times=1)
    found = make().check_consistency()
    assert {one.dimensions for one in found.providers} == {512, 1024}
    assert found.worst is None
    assert not found.agree(0.0)
    assert "their widths differ" in str(found)


@check_consistency
@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (402, InsufficientCreditsError)])
def test_what_is_wrong_with_the_account_ends_a_consistency_check(make, embeddings_gateway, check, status, error):
    embeddings_gateway.trouble("status", status=status, times=None)
    client = make()
    with pytest.raises(error):
        check(client)
    assert client.usage.requests == len(embeddings_gateway.embedding_requests()) > 0


@check_consistency
def test_max_cost_holds_in_a_consistency_check(make, embeddings_gateway, check):
    with pytest.raises(BudgetExceededError):
        check(make(max_cost=1e-7))
    assert len(embeddings_gateway.embedding_requests()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"provider": {"only": ["Nearby"]}},
        {"provider": {"ignore": ["local"]}},
        {"extra_body": {"provider": {"only": ["nearby"], "order": ["local"]}}},
    ],
    ids=["only", "ignore", "extra_body"],
)
def test_the_users_own_preferences_narrow_the_list(make, embeddings_gateway, options):
    found = make(**options).check_consistency()
    assert [one.tag for one in found.providers] == ["nearby"]
    (request,) = embeddings_gateway.embedding_requests()
    assert request.body["provider"]["only"] == ["nearby"]
    assert request.body["provider"]["allow_fallbacks"] is False
    assert "order" not in request.body["provider"]
    assert found.agree()


@pytest.mark.parametrize("preference", [{"only": ["elsewhere"]}, {"quantizations": ["int8"]}], ids=["only", "int8"])
def test_preferences_that_leave_nobody_are_an_error_that_says_so(make, embeddings_gateway, preference):
    with pytest.raises(ConfigurationError, match="leave no provider of model 'voyageai/voyage-4' to check"):
        make(provider=preference).check_consistency()
    assert not embeddings_gateway.embedding_requests()


def test_a_gateway_that_lists_no_providers_is_a_clear_error(make, embeddings_gateway):
    with pytest.raises(ConfigurationError, match="infron does not list the providers of a model"):
        make(gateway="infron").check_consistency()
    assert not embeddings_gateway.requests()


def test_a_model_the_gateway_does_not_know_is_an_error(make):
    with pytest.raises(ModelNotFoundError, match="while listing the providers of model 'someone/unheard-of'"):
        make(NO_PROFILE).check_consistency()


@pytest.mark.parametrize("texts", [[], [""], "text", [1]], ids=["none", "empty", "str", "number"])
def test_texts_that_cannot_be_embedded_are_an_error_before_any_request(make, embeddings_gateway, texts):
    with pytest.raises(InputError):
        make(on_empty="zero").check_consistency(texts)
    assert not embeddings_gateway.requests()


def test_equal_texts_and_a_generator_are_taken(make):
    assert make().check_consistency(text for text in ["one", "one", "two"]).texts == 3


def test_a_check_needs_a_key(make, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    client = make(api_key=None)
    for check in (client.check_model, client.check_consistency):
        with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
            check()


# --------------------------------------------------------------------------------------------------------- the findings


def test_no_key_and_no_text_is_shown(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=403, message=f"bad key {KEY} for a very private text", times=1)
    found = make().check_consistency(["a very private text"])
    embeddings_gateway.trouble("status", status=403, message=f"{KEY}: {PROBES[0]}", times=1)
    checked = make().check_model()
    for shown in (found, found.to_dict(), repr(found), checked, checked.to_dict(), repr(checked)):
        assert KEY not in str(shown)
        assert "very private text" not in str(shown)
        assert "brown fox" not in str(shown)


def test_both_checks_are_values_for_json_and_pickle(make):
    client = make()
    model, providers = client.check_model(), client.check_consistency()
    assert json.loads(json.dumps(model.to_dict()))["ok"] is True
    told = json.loads(json.dumps(providers.to_dict()))
    assert (told["agree"], told["worst"]) == (True, providers.worst)
    assert told["providers"][0]["error"] is None
    assert pickle.loads(pickle.dumps(model)) == model
    assert str(pickle.loads(pickle.dumps(providers))) == str(providers)
    with pytest.raises(KeyError):
        model["no such finding"]


def test_tables_fit_a_terminal_and_hold_no_control_character():
    error = PermissionDeniedError("no " * 100 + "\x1b[31m\nend")
    providers = (
        ProviderCheck(tag="a\x07", name="A", error=error),
        ProviderCheck(tag="b", name="B", dimensions=2, norms=(1.0, 1.0), served_by=("elsewhere " * 30,)),
    )
    nan = np.full((2, 2), np.nan)
    check = ConsistencyCheck(model="m", gateway="g", texts=1, providers=providers, lowest=nan, mean=nan)
    found = Finding(name="answers", verdict="ok", detail="word " * 100)
    model = ModelCheck(model="m", gateway="g", profile="unknown", findings=(found,))
    for table in (str(check), str(model)):
        assert all(line.isprintable() and len(line) <= 100 for line in table.splitlines())
        assert not any(line.endswith(" ") for line in table.splitlines())
    assert "a?: PermissionDeniedError: no no" in str(check)


def test_many_providers_fit_a_terminal():
    tags = [f"p{number}" for number in range(1, 18)]
    providers = tuple(ProviderCheck(tag=tag, name=tag, dimensions=2, norms=(1.0, 1.0)) for tag in tags)
    lowest = np.array([[1.0 - abs(a - b) / 1000 for b in range(17)] for a in range(17)])
    check = ConsistencyCheck(model="m", gateway="g", texts=1, providers=providers, lowest=lowest, mean=lowest)
    lines = str(check).splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line.split() for line in lines if line.split() and set(line.split()) <= set(map(str, range(1, 18)))]
    assert heads == [[str(n) for n in block] for block in (range(1, 9), range(9, 17), [17])]
    assert sum(line.count("0.984000") for line in lines) == 2 + 1  # once each way, once in the verdict


def test_agreement_is_the_cosine_in_double_precision_and_nothing_where_there_is_none():
    first = np.array([[1.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    turned = np.array([[0.0, 2.0], [6.0, 8.0]], dtype=np.float32)
    lowest, mean = agreement([first, turned, None, first[:, :1]])
    assert lowest[0].tolist()[:2] == pytest.approx([1.0, 0.0])
    assert mean[0, 1] == mean[1, 0] == pytest.approx(0.5)
    assert np.isnan(lowest[2]).all()
    assert np.isnan(lowest[0, 3])
    assert lowest[3, 3] == 1.0


def test_the_worst_pair_is_named():
    providers = tuple(ProviderCheck(tag=tag, name=tag, dimensions=2, norms=(1.0, 1.0)) for tag in "abc")
    lowest = np.array([[1.0, 0.9, 0.99], [0.9, 1.0, 0.5], [0.99, 0.5, 1.0]])
    check = ConsistencyCheck(model="m", gateway="g", texts=1, providers=providers, lowest=lowest, mean=lowest)
    assert check.worst == 0.5
    assert check.agree(0.5)
    assert not check.agree(0.51)
    assert "They do not agree: the lowest cosine is 0.500000 (b, c)." in str(check)


# --------------------------------------------------------------------------------------------- the listing of providers

LISTED = [Endpoint("deepinfra/turbo", "DeepInfra", "fp8"), Endpoint("nebius", "Nebius", None)]


@pytest.mark.parametrize(
    ("preferences", "left"),
    [
        ({}, [0, 1]),
        ({"only": ["deepinfra"]}, [0]),
        ({"only": ["deepinfra/turbo"]}, [0]),
        ({"only": ["deep"]}, []),
        ({"ignore": ["DeepInfra"]}, [1]),
        ({"only": [], "ignore": []}, [0, 1]),
        ({"quantizations": ["unknown"]}, [1]),
        ({"quantizations": ["fp8", "fp16"]}, [0]),
    ],
    ids=["all", "base", "full", "part of a name", "ignored", "empty lists", "unnamed", "named"],
)
def test_a_slug_names_its_endpoints(preferences, left):
    assert narrowed(LISTED, preferences) == [LISTED[at] for at in left]


def test_a_listing_is_read_for_what_can_be_pinned():
    rows = [
        {"tag": "a", "provider_name": "A", "quantization": "fp8", "new": 1},
        {"tag": "a", "provider_name": "A again"},
        {"tag": "b", "provider_name": None, "quantization": 8},
        {"provider_name": "no tag"},
        {"tag": " "},
        "odd",
    ]
    body = json.dumps({"data": {"endpoints": rows}}).encode()
    assert read_endpoints(body) == [Endpoint("a", "A", "fp8"), Endpoint("b", "b", None)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": []}', b'{"data": {"endpoints": 1}}', b"<html>"])
def test_what_is_no_listing_is_none(body):
    assert read_endpoints(body) is None


def reply(status: int, body: object, **headers: str) -> Response:
    return Response(status, headers, json.dumps(body).encode())


def test_listing_is_tried_again_where_that_may_help():
    flow = list_endpoints(OPENROUTER, "openrouter/a/b c:free", timeout=60.0)
    asked = flow.send(None)
    assert asked == Fetch("https://openrouter.ai/api/v1/models/a/b%20c:free/endpoints", keyed=True)
    assert isinstance(flow.send(TransportFailure(TransportFault.TIMED_OUT)), Sleep)
    assert flow.send(True) == asked
    assert flow.send(reply(503, {"error": {"code": 503, "message": "no"}}, **{"retry-after": "7"})) == Sleep(7.0)
    assert flow.send(True) == asked
    with pytest.raises(StopIteration) as done:
        flow.send(reply(200, {"data": {"endpoints": [{"tag": "x"}]}}))
    assert done.value.value == [Endpoint("x", "x", None)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(200, {"data": {"endpoints": []}}), ModelNotFoundError),
        (reply(200, {"data": []}), ResponseError),
        (reply(200, {"error": {"code": 401, "message": "no"}}), AuthenticationError),
        (reply(404, {"error": {"code": 404, "message": "no"}}), ModelNotFoundError),
        (Response(204, {}, b""), ResponseError),
        (reply(429, {}, **{"retry-after": "3600"}), EmbeddingError),
    ],
    ids=["empty", "odd", "error in 200", "404", "204", "too long to wait"],
)
def test_a_listing_that_does_not_come_is_an_error_of_ours(answer, error):
    flow = list_endpoints(OPENROUTER, "a/b", timeout=60.0)
    flow.send(None)
    with pytest.raises(error, match="a/b"):
        while True:
            assert not isinstance(flow.send(answer), Sleep) or answer.status == 204


def test_infron_is_not_asked():
    with pytest.raises(ConfigurationError):
        list_endpoints(INFRON, "a/b", timeout=60.0).send(None)


def test_a_pin_wins_over_extra_body_and_leaves_the_rest_alone():
    options = Options(
        model="a/b",
        provider={"zdr": True, "order": ["x"], "sort": "price"},
        extra_body={"provider": {"newer": 1, "only": ["y"]}, "other": 2},
    )
    held = pinned_to(options, "z")
    assert held.provider == {"zdr": True, "sort": "price", "only": ["z"], "allow_fallbacks": False}
    assert held.extra_body == {"provider": {"newer": 1}, "other": 2}


def test_usage_of_an_empty_check_is_nothing():
    assert ModelCheck(model="m", gateway="g", profile="p", findings=()).usage == Usage()
