"""What a model check asks, of whom, and how often."""

from __future__ import annotations

import json

import pytest

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    InsufficientCreditsError,
    MemoryCache,
)
from openrouter_embeddings.checks.session import PROBES

from .conftest import NO_PROFILE, PLAIN
from .worlds import BY_PREFIX, BY_VALUE, World, model_checked, reply


class Recorded(World):
    """A world that remembers what it was asked."""

    def __post_init__(self):
        super().__post_init__()
        self.bodies = []

    def answer(self, body):
        self.bodies.append(body)
        return super().answer(body)

    def kinds(self) -> str:
        """Return one letter a request: single, batch, texts, query, document, narrow."""
        return "".join(map(self._kind, self.bodies))

    @staticmethod
    def _kind(body) -> str:
        if "dimensions" in body:
            return "n"
        if "input_type" in body:
            return {"query": "q", "document": "d", "search_query": "q"}[body["input_type"]]
        return {1: "s", 256: "b"}.get(len(body["input"]), "t")


@pytest.mark.parametrize(
    ("model", "kinds"),
    [(BY_VALUE, "ssb" + "tqd" + "qdt" + "dtq" + "n"), (BY_PREFIX, "ssb" + "tqqt" * 2 + "n")],
    ids=["two values", "one value"],
)
def test_texts_are_asked_for_unmarked_and_marked_in_turns_each_of_which_begins_with_another_kind(model, kinds):
    gateway = Recorded(1)
    check = model_checked(gateway, model)
    assert gateway.kinds() == kinds
    assert check.usage.requests == len(kinds) <= 13
    bodies = [json.dumps(body["input"]) for body in gateway.bodies if len(body["input"]) > 1]
    assert len({(body, kind) for body, kind in zip(bodies, kinds[2:], strict=True)}) == len(bodies)


def test_where_no_value_is_documented_none_is_tried(make, embeddings_gateway):
    check = make(PLAIN, gateway="infron").check_model()
    assert check["input_type"].detail == "none is sent, and no value is documented"
    assert not any("input_type" in request.body for request in embeddings_gateway.embedding_requests())
    assert check.usage.requests == 6


def test_all_but_the_batch_costs_a_few_hundred_tokens(make):
    for model in (BY_VALUE, BY_PREFIX, "qwen/qwen3-embedding-8b", NO_PROFILE):
        assert make(model).check_model().usage.total_tokens < 4500


def pins(gateway: Recorded) -> list[list[str] | None]:
    return [(body.get("provider") or {}).get("only") for body in gateway.bodies]


def test_who_served_first_is_pinned_and_the_users_preferences_hold_otherwise():
    gateway = Recorded(1, providers=3)
    check = model_checked(gateway, provider={"zdr": True, "order": ["delta"], "sort": "price"})
    first, *rest = [body["provider"] for body in gateway.bodies]
    assert first == {"zdr": True, "order": ["delta"], "sort": "price"}
    pin = {"zdr": True, "sort": "price", "only": [check["served by"].detail.lower()], "allow_fallbacks": False}
    assert rest == [pin] * 12


@pytest.mark.parametrize(
    ("provider", "pinned"),
    [(None, "alpha"), ({"order": ["gamma", "beta"]}, "gamma"), ({"ignore": ["alpha"]}, "beta")],
    ids=["the listing's", "the user's order", "one that is allowed"],
)
def test_where_nobody_is_named_the_first_choice_is_pinned(provider, pinned):
    gateway = Recorded(1, providers=3, named=False)
    check = model_checked(gateway, provider=provider)
    assert pins(gateway)[1:] == [[pinned]] * 12
    assert check["served by"].detail == "no answer named a provider"


def test_a_pin_that_is_refused_is_taken_back():
    gateway = Recorded(1, providers=3, pins="refused")
    check = model_checked(gateway)
    assert [pin is not None for pin in pins(gateway)] == [False, True] + [False] * 12
    assert check["deterministic"].ok


def test_a_pin_that_is_ignored_is_told():
    check = model_checked(World(1, providers=4, pins="ignored"))
    assert check["served by"].detail.endswith(" alone was asked for")


def test_a_gateway_that_lists_nobody_is_asked_without_a_pin():
    gateway = Recorded(1, providers=3, listed=False)
    assert model_checked(gateway)["answers"].ok
    assert set(map(str, pins(gateway))) == {"None"}


def test_what_the_users_own_options_say_of_inputs_is_left_out(make, embeddings_gateway):
    make(PLAIN, batch_size=2, batch_tokens=10, dimensions=256, encoding_format="float", user="me").check_model()
    bodies = [request.body for request in embeddings_gateway.embedding_requests()]
    assert max(len(body["input"]) for body in bodies) == 256
    assert [body.get("dimensions") for body in bodies] == [None] * (len(bodies) - 1) + [256]
    assert {body["encoding_format"] for body in bodies} == {"base64"}
    assert {body["user"] for body in bodies} == {"me"}


@pytest.mark.parametrize(("model", "most"), [("baai/bge-m3", 100), (PLAIN, 256), (NO_PROFILE, 256)])
def test_the_batch_is_as_large_as_the_profile_says_and_no_larger_than_256(make, embeddings_gateway, model, most):
    check = make(model).check_model()
    assert check["batch size"].detail == f"{most} inputs in a request"
    assert max(request.inputs for request in embeddings_gateway.embedding_requests()) == most


class Small(Recorded):
    """A host that takes few inputs in a request."""

    most, refusal = 10, "no"

    def answer(self, body):
        if len(body["input"]) > self.most:
            self.bodies.append(body)
            return reply(400, {"error": {"code": 400, "message": self.refusal}})
        return super().answer(body)


@pytest.mark.parametrize("refusal", ["no", "too many inputs", "input[3] was rejected"])
def test_a_limit_is_found_in_few_requests_whatever_the_words_of_the_refusal(refusal):
    gateway = Small(1)
    gateway.refusal = refusal
    check = model_checked(gateway, BY_PREFIX)
    assert check["batch size"].detail == "8 inputs in a request; 16 were refused"
    assert check["batch equals single"].ok
    assert check["query marking"].verdict == check["document marking"].verdict == "ok"
    assert check.usage.requests == 12 + 5


def test_a_host_of_one_input_a_request_can_be_checked():
    gateway = Small(1)
    gateway.most = 1
    check = model_checked(gateway, BY_VALUE)
    assert check["batch size"].detail == "1 input in a request; 2 were refused"
    assert check["batch equals single"].verdict == "unknown"
    assert check["input_type"].verdict == check["query marking"].verdict == "ok"
    assert check["dimensions are a cut"].verdict == "ok"
    by_prefix = Small(1)
    by_prefix.most = 1
    assert model_checked(by_prefix, BY_PREFIX)["query marking"].verdict == "unknown"
    assert {tuple(body["input"]) for body in gateway.bodies if len(body["input"]) == 1} == {(PROBES[0],)}


def test_a_check_asks_no_cache_and_fills_none(make, embeddings_gateway):
    client = make(cache=MemoryCache())
    first, second = client.check_model(), client.check_model()
    assert first.usage == second.usage
    assert client.usage.cached == 0
    paid = embeddings_gateway.paid_inputs()
    client.embed_documents(list(PROBES))
    assert embeddings_gateway.paid_inputs() == paid + len(PROBES)


@pytest.mark.parametrize("kind", ["refuse_base64", "empty_base64", "answer_floats"])
def test_base64_is_asked_for_once_where_it_does_not_come(make, embeddings_gateway, kind):
    embeddings_gateway.trouble(kind, times=None)
    assert make().check_model().usage.requests <= 13 + 1
    encodings = [request.body["encoding_format"] for request in embeddings_gateway.embedding_requests()]
    assert encodings.count("base64") == 1


def test_trouble_that_passes_is_retried_and_counted(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=503, headers={"retry-after-ms": "1"})
    check = make().check_model()
    assert check.ok
    assert (check.usage.retries, check.usage.requests) == (1, 14)


@pytest.mark.parametrize("after", [0, 1, 2, 4])
@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (402, InsufficientCreditsError)])
def test_what_is_wrong_with_the_account_ends_the_check(make, embeddings_gateway, check_model, after, status, error):
    embeddings_gateway.trouble("status", status=status, after=after, times=1)
    client = make()
    with pytest.raises(error):
        check_model(client)
    assert client.usage.requests == after + 1


def test_max_cost_holds(make, check_model):
    client = make(max_cost=1e-7)
    with pytest.raises(BudgetExceededError):
        check_model(client)
    assert client.usage.requests == 1


def test_the_gateways_own_cache_proves_nothing(make):
    client = make(server_cache=60)
    assert client.check_model()["deterministic"].verdict == "ok"  # no two of its requests are alike
    again = client.check_model()["deterministic"]
    assert again.verdict == "unknown"
    assert "server_cache" in again.detail


def test_a_check_needs_a_key(make, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        make(api_key=None).check_model()
