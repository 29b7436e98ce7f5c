"""What a model check finds: against the local gateway, and against gateways by hand."""

from __future__ import annotations

import pytest

from openrouter_embeddings import Finding
from openrouter_embeddings.checks.model import verdict_on
from openrouter_embeddings.checks.session import PROBES

from .conftest import KEY, NO_PROFILE, PLAIN
from .worlds import BY_PREFIX, BY_VALUE, World, model_checked, reply

OK, DIFFERS, UNKNOWN = "ok", "differs from the profile", "unknown"


@pytest.mark.parametrize(
    ("expected", "seen", "verdict"),
    [
        (True, {True}, OK),
        (True, {False}, DIFFERS),
        (True, {True, False}, DIFFERS),
        (True, set(), UNKNOWN),
        (False, {False}, OK),
        (False, {True, False}, DIFFERS),
        (False, set(), UNKNOWN),
        (None, {True}, OK),
        (None, {False}, UNKNOWN),
        (None, {True, False}, UNKNOWN),
    ],
)
def test_a_verdict_holds_what_was_seen_against_what_is_expected(expected, seen, verdict):
    assert verdict_on(expected, seen) == verdict


@pytest.mark.parametrize("model", [PLAIN, BY_VALUE, "qwen/qwen3-embedding-8b", "baai/bge-m3", NO_PROFILE])
def test_a_model_that_keeps_its_profile_is_ok(make, embeddings_gateway, check_model, model):
    client = make(model)
    check = check_model(client)
    assert check.ok, str(check)
    assert [finding.name for finding in check.findings] == [
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
    assert len(embeddings_gateway.embedding_requests()) == check.usage.requests <= 13
    assert check.usage == client.usage
    assert check["served by"].detail == "local"


def test_what_is_seen_is_told_in_numbers(make):
    check = make().check_model()
    noise = ", 1.000000 between equal requests"
    assert check["native dimensions"].detail == "1024; the profile says 1024"
    assert check["base64"].detail == "honoured"
    assert check["normalised"].detail == "length 1.0000"
    assert check["input_type"].detail.startswith("honoured; 'query' to none: cosine 0.98")
    assert check["query marking"].detail.startswith("input_type 'query': cosine 0.98")
    assert check["query marking"].detail.endswith(noise)
    assert check["deterministic"].detail == "cosine 1.000000 at least between equal requests"
    assert check["batch equals single"].detail == f"cosine 1.000000{noise}"
    assert check["dimensions"].detail == "512 asked for, 512 came"
    cut = f"cosine 1.000000{noise}, to the first 512 numbers of the full embedding"
    assert check["dimensions are a cut"].detail == cut
    by_prefix = make("qwen/qwen3-embedding-8b").check_model()
    assert by_prefix["query marking"].detail.startswith("a prefix: cosine 0.98")
    assert by_prefix["document marking"].detail == "none"
    assert by_prefix["input_type"].detail.startswith("ignored; 'search_query' to none: cosine 1.000000")


def test_a_batch_that_is_refused_tells_what_is_accepted(make, embeddings_gateway):
    embeddings_gateway.trouble("refuse_batch", limit=70, times=None)
    known, unknown = make(PLAIN).check_model(), make(NO_PROFILE).check_model()
    detail = "64 inputs in a request; 128 were refused"
    assert known["batch size"] == Finding(name="batch size", verdict=DIFFERS, detail=detail)
    assert unknown["batch size"].verdict == UNKNOWN
    assert known["batch equals single"].ok
    assert (known.ok, unknown.ok) == (False, True)


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
    check = make().check_model()
    assert (check["base64"].verdict, check["base64"].detail) == (DIFFERS, detail)
    assert [finding.name for finding in check.findings if not finding.ok] == ["base64"]


def test_a_mark_that_is_not_heard_is_seen(make):
    check = make(query_input_type="nonsense", document_input_type="nonsense").check_model()
    assert check["input_type"].verdict == check["query marking"].verdict == DIFFERS
    assert check["input_type"].detail.startswith("ignored")
    assert "no effect" in check["document marking"].detail


def test_a_mark_heard_on_one_side_only_is_told_apart(make):
    check = make(query_input_type="nonsense").check_model()
    assert check["input_type"].verdict == DIFFERS
    assert check["input_type"].detail.startswith("honoured in part")
    assert (check["query marking"].verdict, check["document marking"].verdict) == (DIFFERS, OK)


def test_a_mark_of_value_and_prefix_is_tried_as_it_is_sent(make, embeddings_gateway):
    check = make(query_input_type="query", query_prefix="find: ").check_model()
    assert check["query marking"].verdict == OK
    assert "a prefix and input_type 'query'" in check["query marking"].detail
    bodies = [request.body for request in embeddings_gateway.embedding_requests()]
    sent = [body["input"] for body in bodies if body.get("input_type") == "query"]
    assert len(sent) == 3
    assert all({PROBES[0], "find: " + PROBES[0]} < set(texts) for texts in sent)


@pytest.mark.parametrize("refused", [True, False], ids=["400", "403"])
def test_an_input_type_that_is_refused_is_not_one_that_fails(refused):
    class Strict(World):
        def answer(self, body):
            if "input_type" in body:
                status = 400 if refused else 403
                return reply(status, {"error": {"code": status, "message": "no such field"}})
            return super().answer(body)

    check, other = model_checked(Strict(1), BY_VALUE), model_checked(Strict(1), BY_PREFIX)
    if refused:
        assert check["input_type"].detail == "'query' is refused (InvalidRequestError)"
        assert (check["input_type"].verdict, other["input_type"].verdict) == (DIFFERS, OK)
    else:
        assert check["input_type"].verdict == other["input_type"].verdict == "failed: PermissionDeniedError"
    assert check["query marking"].verdict == UNKNOWN
    assert other["query marking"].verdict == OK


def test_dimensions_that_are_ignored_are_seen(make, embeddings_gateway):
    embeddings_gateway.trouble("ignore_dimensions", times=None)
    check = make(dimensions_fallback=True).check_model()
    assert check["dimensions"] == Finding(name="dimensions", verdict=DIFFERS, detail="512 asked for, 1024 came")
    assert check["dimensions are a cut"].verdict == UNKNOWN


def test_the_users_own_dimensions_are_tried(make):
    assert make(dimensions=256).check_model()["dimensions"].detail == "256 asked for, 256 came"
    refused = make("baai/bge-m3", dimensions=256).check_model()["dimensions"]
    assert (refused.verdict, refused.detail) == (DIFFERS, "256 is refused (InvalidRequestError)")


@pytest.mark.parametrize(("model", "verdict"), [(BY_PREFIX, DIFFERS), (NO_PROFILE, UNKNOWN)])
def test_a_shorter_embedding_that_is_no_cut_is_seen(model, verdict):
    check = model_checked(World(1, cut=False), model)
    assert check["dimensions"].verdict == OK
    assert check["dimensions are a cut"].verdict == verdict


def test_another_native_width_is_seen(make, embeddings_gateway):
    embeddings_gateway.trouble("wrong_width", times=None)
    finding = make().check_model()["native dimensions"]
    assert (finding.verdict, finding.detail) == (DIFFERS, "512; the profile says 1024")


def test_an_answer_that_changes_is_seen_and_is_no_mark(make, embeddings_gateway):
    embeddings_gateway.trouble("quantised", times=1)
    check = make(PLAIN).check_model()
    assert check["deterministic"].verdict == DIFFERS
    assert check["input_type"].detail.startswith("ignored")


@pytest.mark.parametrize("after", [2, 3, 4, 11], ids=["batch", "texts", "input_type", "dimensions"])
def test_a_host_that_rounds_once_is_no_mark_and_no_other_batch(make, embeddings_gateway, after):
    embeddings_gateway.trouble("quantised", after=after, times=1)
    check = make(PLAIN).check_model()
    assert {finding.name for finding in check.findings if not finding.ok} <= {"deterministic"}, str(check)


def test_a_width_that_changes_is_no_determinism(make, embeddings_gateway):
    embeddings_gateway.trouble("wrong_width", after=1, times=1)
    check = make().check_model()["deterministic"]
    assert (check.verdict, check.detail) == (DIFFERS, "cosine 0.000000 at least between equal requests")


@pytest.mark.parametrize(
    ("model", "scale", "noise", "verdict"),
    [
        (BY_PREFIX, 1.0, 0.0, OK),
        (BY_PREFIX, 1.01, 0.0, DIFFERS),
        (BY_PREFIX, 1.01, 1e-3, UNKNOWN),
        (BY_PREFIX, 14.0, 1e-3, DIFFERS),
        (BY_VALUE, 14.0, 0.0, UNKNOWN),
    ],
)
def test_a_length_that_is_not_1_is_held_against_the_profile_and_the_noise(model, scale, noise, verdict):
    check = model_checked(World(1, noise=noise, scales=(scale,)), model)
    assert check["normalised"].verdict == verdict


def test_a_length_that_carries_meaning_is_as_the_profile_says(make):
    assert make("perplexity/pplx-embed-v1-0.6b").check_model()["normalised"].verdict == OK


class Ordered(World):
    """A host that answers in another order, or the same to everything."""

    def answer_by(self, provider, body):
        return super().answer_by(provider, {**body, "input": self.order(body["input"])})


@pytest.mark.parametrize(
    "order",
    [
        lambda texts: texts[::-1],
        lambda texts: [*texts[1:], texts[0]],
        lambda texts: sorted(texts, key=len),
        lambda texts: sorted(texts, key=len, reverse=True),
        lambda texts: ["x"] * len(texts),
    ],
    ids=["reversed", "rotated", "shortest first", "longest first", "all the same"],
)
@pytest.mark.parametrize("model", [BY_VALUE, BY_PREFIX])
def test_a_batch_out_of_order_is_seen_and_nothing_is_blamed_for_it(order, model):
    gateway = Ordered(1, heeds=("query", "document") if model == BY_VALUE else ())
    gateway.order = order
    check = model_checked(gateway, model)
    assert check["batch equals single"].verdict == DIFFERS
    assert "stands in the place of input " in check["batch equals single"].detail
    if order(["a", "b"]) != ["x", "x"]:  # then no mark is seen either
        wrong = [finding.name for finding in check.findings if not finding.ok]
        assert wrong == ["native dimensions", "batch equals single"]


def test_a_batch_of_other_numbers_is_told_from_one_out_of_order():
    check = model_checked(World(1, batch="other"))
    assert check["batch equals single"].verdict == DIFFERS
    assert "place" not in check["batch equals single"].detail
    assert check["input_type"].verdict == OK


def test_much_noise_hides_a_mark_and_is_told():
    check = model_checked(World(1, noise=0.02, effect=0.99))
    assert check["deterministic"].verdict == DIFFERS
    assert check["input_type"].verdict == check["query marking"].verdict == UNKNOWN
    assert check["input_type"].detail.startswith("not known; 'query' to none: cosine 0.9")


def test_a_side_that_cannot_be_told_leaves_the_whole_untold():
    class Elsewhere(World):
        def answer(self, body):
            self.home = int(body.get("input_type") == "document")
            return super().answer(body)

    check = model_checked(Elsewhere(1, providers=2, pins="ignored", sticky=True))
    assert (check["query marking"].verdict, check["document marking"].verdict) == (OK, UNKNOWN)
    assert check["document marking"].detail == "input_type 'document': no provider answered both"
    assert check["input_type"].verdict == UNKNOWN


def test_a_model_that_does_not_answer_is_one_finding(make, embeddings_gateway, check_model):
    embeddings_gateway.trouble("status", status=403, times=None)
    check = check_model(make())
    assert [(finding.name, finding.verdict) for finding in check.findings] == [
        ("answers", "failed: PermissionDeniedError")
    ]
    assert not check.ok
    assert check.usage.requests == 1


@pytest.mark.parametrize(
    ("after", "name"),
    [(1, None), (2, "batch"), (3, "deterministic"), (4, "input_type"), (12, "dimensions")],
    ids=["a pin is taken back", "batch", "texts", "input_type", "dimensions"],
)
def test_what_fails_later_is_a_finding_and_the_rest_goes_on(make, embeddings_gateway, after, name):
    embeddings_gateway.trouble("status", status=403, after=after, times=1)
    check = make().check_model()
    failed = {finding.name: finding.verdict for finding in check.findings if not finding.ok}
    assert failed == ({name: "failed: PermissionDeniedError"} if name else {})
    assert check["served by"].ok


def test_no_key_and_no_text_is_shown(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=403, message=f"{KEY}: {PROBES[0]}", after=2, times=1)
    check = make().check_model()
    assert not check.ok
    for shown in map(str, (check, check.to_dict(), repr(check))):
        assert KEY not in shown
        assert "brown fox" not in shown
