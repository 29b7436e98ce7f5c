"""Do providers agree? Against the local gateway, and against gateways by hand."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    InputError,
    InsufficientCreditsError,
    MemoryCache,
    ModelNotFoundError,
    PermissionDeniedError,
)
from openrouter_embeddings.checks.consistency import agreement, norm_ratio
from openrouter_embeddings.checks.session import PROBES

from .conftest import KEY
from .worlds import NAMES, WIDTH, World, answer, consistency_checked, listing


def test_providers_are_pinned_one_by_one_and_agree(make, embeddings_gateway, check_consistency):
    client = make(provider={"data_collection": "deny", "order": ["nearby"], "allow_fallbacks": True})
    check = check_consistency(client)
    assert [row.tag for row in check.providers] == ["local", "nearby"]
    assert [row.served_by for row in check.providers] == [("local",), ("nearby",)]
    assert [(row.ok, row.pin_kept, row.quantization, row.dimensions) for row in check.providers] == [
        (True, True, "fp32", 1024)
    ] * 2
    assert check.ok
    assert check.agree(1.0)
    assert (check.worst, check.verdict) == (1.0, "agree")
    assert check.norm_ratio == pytest.approx(1.0)
    assert check.lowest.shape == check.mean.shape == (2, 2)
    assert check.texts == len(PROBES) == 8
    bodies = [request.body for request in embeddings_gateway.embedding_requests()]
    pins = [{"data_collection": "deny", "only": [tag], "allow_fallbacks": False} for tag in ("local", "nearby")]
    assert sorted((body["provider"] for body in bodies), key=str) == sorted(pins * 2, key=str)
    assert {body["input_type"] for body in bodies} == {"document"}
    assert check.usage == client.usage
    assert check.usage.requests == 4


def test_each_provider_is_asked_twice_in_another_order(make, embeddings_gateway):
    make("intfloat/e5-large-v2", provider={"only": ["local"]}).check_consistency(["one", "two"])
    assert [request.body["input"] for request in embeddings_gateway.embedding_requests()] == [
        ["passage: one", "passage: two"],
        ["passage: two", "passage: one"],
    ]


def test_a_provider_that_computes_in_int8_is_seen(make, embeddings_gateway, check_consistency):
    embeddings_gateway.trouble("quantised", provider="nearby", times=None)
    check = check_consistency(make())
    assert 0.999 < check.worst < 0.99999
    assert check.worst == check.lowest[0, 1] == check.lowest[1, 0] <= check.mean[0, 1]
    assert check.lowest[0, 0] == check.lowest[1, 1] == 1.0
    assert check.ok
    assert not check.agree(0.99999)
    low, high = check.providers[1].norms
    assert low < 0.9999
    assert high > 1.0001


def test_a_provider_that_answers_differently_each_time_is_not_blamed_for_more(make, embeddings_gateway):
    embeddings_gateway.trouble("quantised", provider="nearby", times=1)
    check = make().check_consistency()
    assert check.lowest[0, 0] == 1.0
    assert check.lowest[1, 1] < 0.99999
    assert check.agree()
    assert not check.agree(0.999999)


def test_a_provider_that_fails_is_a_row(make, embeddings_gateway, check_consistency):
    embeddings_gateway.trouble("status", status=403, message="not here", times=1)
    check = check_consistency(make())
    (failed,) = check.failed
    (answered,) = [row for row in check.providers if row.ok]
    assert isinstance(failed.error, PermissionDeniedError)
    assert (failed.dimensions, failed.norms) == (None, None)
    assert answered.dimensions == 1024
    assert (check.worst, check.norm_ratio, check.ok) == (None, None, False)
    assert check.agree()
    assert check.usage.requests == 3
    assert f"{failed.tag}: PermissionDeniedError: Permission denied" in str(check)


def test_where_no_provider_answers_nothing_agrees(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=403, times=None)
    check = make().check_consistency()
    assert len(check.failed) == 2
    assert not check.agree(0.0)
    assert np.isnan(check.lowest).all()


def test_a_provider_whose_width_changes_failed(make, embeddings_gateway, check_consistency):
    embeddings_gateway.trouble("wrong_width", times=1)
    check = check_consistency(make(provider={"only": ["local"]}))
    assert str(check.providers[0].error) == "Equal requests were answered with 512 dimensions, then 1024."
    assert not check.agree(0.0)


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (402, InsufficientCreditsError)])
def test_what_is_wrong_with_the_account_ends_the_check(make, embeddings_gateway, check_consistency, status, error):
    embeddings_gateway.trouble("status", status=status, times=None)
    client = make()
    with pytest.raises(error):
        check_consistency(client)
    assert client.usage.requests == len(embeddings_gateway.embedding_requests()) > 0


def test_max_cost_holds(make, embeddings_gateway, check_consistency):
    with pytest.raises(BudgetExceededError):
        check_consistency(make(max_cost=1e-7))
    assert len(embeddings_gateway.embedding_requests()) == 1


def test_the_cache_is_neither_asked_nor_filled(make, embeddings_gateway):
    client = make(cache=MemoryCache())
    client.check_consistency()
    client.check_consistency()
    assert client.usage.cached == 0
    paid = embeddings_gateway.paid_inputs()
    client.embed_documents(list(PROBES))
    assert embeddings_gateway.paid_inputs() == paid + len(PROBES)


def test_an_answer_that_the_gateway_had_stored_shows_no_noise(make):
    client = make(server_cache=60)
    assert client.check_consistency().lowest[0, 0] == 1.0
    stored = client.check_consistency()
    assert stored.usage.server_cached > 0
    assert np.isnan(np.diag(stored.lowest)).all()
    assert stored.agree()


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
    check = make(**options).check_consistency()
    assert [row.tag for row in check.providers] == ["nearby"]
    request, _ = embeddings_gateway.embedding_requests()
    assert request.body["provider"]["only"] == ["nearby"]
    assert request.body["provider"]["allow_fallbacks"] is False
    assert "order" not in request.body["provider"]
    assert check.ok


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
    with pytest.raises(ModelNotFoundError, match="while listing the providers of model 'someone/else'"):
        make("someone/else").check_consistency()


@pytest.mark.parametrize("texts", [[], [""], "text", [1]], ids=["none", "empty", "str", "number"])
def test_texts_that_cannot_be_embedded_are_an_error_before_any_request(make, embeddings_gateway, texts):
    with pytest.raises(InputError):
        make(on_empty="zero").check_consistency(texts)
    assert not embeddings_gateway.requests()


def test_equal_texts_and_a_generator_are_taken(make):
    assert make().check_consistency(text for text in ["one", "one", "two"]).texts == 3


def test_a_check_needs_a_key(make, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        make(api_key=None).check_consistency()


def test_no_key_and_no_text_is_shown(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=403, message=f"bad key {KEY} for a very private text", times=1)
    check = make().check_consistency(["a very private text"])
    for shown in map(str, (check, check.to_dict(), repr(check))):
        assert KEY not in shown
        assert "very private text" not in shown


# --------------------------------------------------------------------------------------------------------- by hand


def test_one_provider_that_serves_for_all_is_not_taken_for_agreement():
    check = consistency_checked(World(1, providers=3, pins="ignored", sticky=True, cosine=0.9))
    assert sorted(row.pin_kept for row in check.providers) == [False, False, True]
    assert (check.ok, check.agree(), check.verdict) == (False, False, "unknown")
    assert "Unknown: another provider answered in place of" in str(check)
    nobody = consistency_checked(World(1, providers=3, pins="ignored", sticky=True, cosine=0.9, named=False))
    assert [row.pin_kept for row in nobody.providers] == [None] * 3
    assert (nobody.ok, nobody.agree(), nobody.verdict) == (False, False, "unknown")


def test_lengths_of_1_and_14_and_a_fifth_are_not_ok():
    check = consistency_checked(World(1, providers=3, scales=(1.0, 14.0, 0.2)))
    assert check.norm_ratio == pytest.approx(70.0)
    assert check.agree()
    assert (check.ok, check.verdict) == (False, "disagree")


class Narrow(World):
    """The second provider's embeddings are shorter."""

    def answer_by(self, provider, body):
        return super().answer_by(provider, body)[:, : 64 if provider == 1 else None]


def test_widths_that_differ_do_not_agree():
    check = consistency_checked(Narrow(1, providers=3))
    assert [row.dimensions for row in check.providers] == [WIDTH, 64, WIDTH]
    assert (check.ok, check.agree(0.0), check.verdict) == (False, False, "disagree")
    assert "They do not agree: their widths differ." in str(check)


class Variants:
    """A gateway that lists one provider twice, and answers by the provider's name or by the tag."""

    def __init__(self, *, by_tag: bool) -> None:
        self.by_tag = by_tag

    def list_providers(self):
        return listing(("deepinfra", "DeepInfra"), ("deepinfra/turbo", "DeepInfra"))

    def answer(self, body):
        row = np.random.default_rng(1).standard_normal((len(body["input"]), WIDTH))
        return answer(np.ones_like(row), body["provider"]["only"][0] if self.by_tag else "DeepInfra")


def test_two_endpoints_of_one_name_are_not_told_apart_by_it():
    by_name = consistency_checked(Variants(by_tag=False))
    assert [row.pin_kept for row in by_name.providers] == [None, None]
    assert by_name.verdict == "unknown"
    by_tag = consistency_checked(Variants(by_tag=True))
    assert [row.pin_kept for row in by_tag.providers] == [None, True]


def test_names_are_those_that_the_tests_expect():
    assert [row.name for row in consistency_checked(World(1, providers=4)).providers] == list(NAMES)


# ------------------------------------------------------------------------------------------------------------- numbers


def test_agreement_is_the_cosine_over_every_pair_of_answers_and_nothing_where_there_is_none():
    first = np.array([[1.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    turned = np.array([[0.0, 2.0], [6.0, 8.0]], dtype=np.float32)
    lowest, mean = agreement([[first, first], [turned, first], [], [first[:, :1]]])
    assert lowest[0, 1] == lowest[1, 0] == pytest.approx(0.5)  # of the first text: 0 to the one answer, 1 to the other
    assert mean[0, 1] == pytest.approx(0.75)
    assert lowest[0, 0] == 1.0
    assert lowest[1, 1] == pytest.approx(0.0)
    assert np.isnan(lowest[2]).all()
    assert np.isnan(lowest[0, 3])
    assert np.isnan(lowest[3, 3])


def test_lengths_are_compared_text_by_text():
    first = np.array([[1.0, 0.0], [0.0, 4.0]], dtype=np.float32)
    assert norm_ratio([[first, first], [first[::-1]]]) == pytest.approx(4.0)
    assert norm_ratio([[first], [first], []]) == 1.0
    assert norm_ratio([[first], []]) is None
