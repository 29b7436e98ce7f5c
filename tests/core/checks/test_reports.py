"""The findings as values: what follows from the numbers, and how they are shown."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from openrouter_embeddings import (
    ConsistencyCheck,
    Finding,
    ModelCheck,
    PermissionDeniedError,
    ProviderCheck,
    Usage,
)

NAN = float("nan")


def provider(tag: str, **changed) -> ProviderCheck:
    known = {"dimensions": 2, "norms": (1.0, 1.0), "served_by": (tag,), "pin_kept": True}
    return ProviderCheck(tag=tag, name=tag.upper(), **known | changed)


def compared(lowest, *providers: ProviderCheck, norm_ratio: float | None = 1.0) -> ConsistencyCheck:
    matrix = np.array(lowest, dtype=np.float64)
    rows = providers or tuple(provider(tag) for tag in "abcdefgh"[: len(matrix)])
    return ConsistencyCheck(
        model="m", gateway="g", texts=8, providers=rows, lowest=matrix, mean=matrix, norm_ratio=norm_ratio
    )


def pair(cosine: float, noise: float = 0.0) -> list[list[float]]:
    return [[1.0 - noise, cosine], [cosine, 1.0 - noise]]


def test_providers_agree_where_their_lowest_cosine_reaches_the_threshold():
    check = compared([[1.0, 0.9995, 1.0], [0.9995, 1.0, 0.9999], [1.0, 0.9999, 1.0]])
    assert (check.ok, check.verdict, check.worst) == (True, "agree", 0.9995)
    assert check.agree(0.9995)
    assert not check.agree(0.9996)
    assert "They agree: the lowest cosine is 0.999500 (a, b)." in str(check)


def test_the_worst_pair_is_named_where_they_do_not():
    check = compared([[1.0, 0.9, 0.99], [0.9, 1.0, 0.5], [0.99, 0.5, 1.0]])
    assert (check.ok, check.verdict, check.worst) == (False, "disagree", 0.5)
    assert check.agree(0.5)
    assert not check.agree(0.51)
    assert "They do not agree: the lowest cosine is 0.500000 (b, c)." in str(check)


@pytest.mark.parametrize(
    ("cosine", "noise", "verdict"),
    [
        (0.9985, 0.0, "disagree"),
        (0.9985, 1e-3, "unknown"),  # the noise alone makes as much
        (0.9989, 1e-6, "disagree"),
        (0.99899, 1e-6, "unknown"),  # too near to the threshold for this noise
        (0.97, 1e-3, "disagree"),
        (0.9992, 5e-4, "agree"),  # noise makes cosines lower, never higher
        (0.9985, NAN, "unknown"),  # not repeated
        (0.9995, NAN, "agree"),
        (NAN, 0.0, "unknown"),
    ],
)
def test_what_the_noise_of_a_provider_may_have_made_is_no_disagreement(cosine, noise, verdict):
    check = compared(pair(cosine, noise))
    assert check.verdict == verdict
    assert check.ok is check.agree() is (verdict == "agree")


def test_lengths_that_differ_are_a_disagreement_though_directions_agree():
    check = compared(pair(1.0), norm_ratio=70.0)
    assert check.agree()
    assert (check.ok, check.verdict) == (False, "disagree")
    assert "They do not agree: one's embeddings are 70.00 times as long as another's; the lowest" in str(check)
    assert compared(pair(1.0), norm_ratio=1.04).ok


def test_a_pin_that_was_not_kept_leaves_it_unknown():
    rows = provider("a"), provider("b", served_by=("A",), pin_kept=False)
    check = compared([[1.0, NAN], [NAN, NAN]], *rows, norm_ratio=None)
    assert (check.ok, check.agree(), check.agree(0.0), check.verdict) == (False, False, False, "unknown")
    assert [row.ok for row in check.providers] == [True, False]
    assert check.failed == ()
    assert "Unknown: another provider answered in place of b." in str(check)
    # What is known of the others stands.
    three = compared([[1.0, 0.9, NAN], [0.9, 1.0, NAN], [NAN] * 3], provider("a"), provider("b"), rows[1])
    assert three.verdict == "disagree"


def test_answers_that_name_nobody_can_disagree_but_not_agree():
    rows = provider("a", served_by=(), pin_kept=None), provider("b", served_by=(), pin_kept=None)
    check = compared(pair(1.0), *rows)
    assert (check.ok, check.agree(), check.verdict) == (False, False, "unknown")
    assert "Unknown: no answer says which of them served" in str(check)
    assert compared(pair(0.9), *rows).verdict == "disagree"


def test_widths_that_differ_do_not_agree():
    check = compared([[1.0, NAN], [NAN, 1.0]], provider("a"), provider("b", dimensions=3), norm_ratio=None)
    assert (check.ok, check.agree(0.0), check.worst, check.verdict) == (False, False, None, "disagree")
    assert "They do not agree: their widths differ." in str(check)


def test_a_provider_that_failed_is_not_ok_and_says_nothing_of_the_others():
    failed = ProviderCheck(tag="b", name="B", error=PermissionDeniedError("not here"))
    check = compared([[1.0, NAN], [NAN, NAN]], provider("a"), failed, norm_ratio=None)
    assert check.failed == (failed,)
    assert check.agree()
    assert not check.ok
    assert "b: PermissionDeniedError: not here" in str(check)
    assert "Nothing to compare: fewer than two providers answered." in str(check)
    nobody = compared([[NAN]], failed, norm_ratio=None)
    assert (nobody.ok, nobody.agree(0.0), nobody.verdict) == (False, False, "unknown")


def test_one_provider_alone_agrees_with_itself():
    check = compared([[1.0]], norm_ratio=None)
    assert check.ok
    assert "1 provider, 8 texts" in str(check)


def test_a_check_is_plain_values_for_json_and_pickle():
    check = compared([[1.0, NAN], [NAN, 1.0]], provider("a"), provider("b", dimensions=3), norm_ratio=None)
    told = json.loads(json.dumps(check.to_dict()))
    assert told["lowest"] == [[1.0, None], [None, 1.0]]
    assert (told["ok"], told["agree"], told["verdict"], told["worst"]) == (False, False, "disagree", None)
    assert told["providers"][0] == {
        "tag": "a",
        "name": "A",
        "quantization": None,
        "ok": True,
        "error": None,
        "dimensions": 2,
        "norms": [1.0, 1.0],
        "served_by": ["a"],
        "pin_kept": True,
    }
    assert str(pickle.loads(pickle.dumps(check))) == str(check)
    model = ModelCheck(model="m", gateway="g", profile="p", findings=(Finding(name="n", verdict="ok", detail="d"),))
    told = json.loads(json.dumps(model.to_dict()))
    assert told["findings"] == [{"name": "n", "verdict": "ok", "detail": "d"}]
    assert told["ok"] is True
    assert pickle.loads(pickle.dumps(model)) == model


def test_findings_are_found_by_name_and_what_is_unknown_is_ok():
    verdicts = {"ok": True, "unknown": True, "differs from the profile": False, "failed: TimedOutError": False}
    findings = tuple(Finding(name=verdict, verdict=verdict, detail="") for verdict in verdicts)
    check = ModelCheck(model="m", gateway="g", profile="p", findings=findings)
    assert {name: check[name].ok for name in verdicts} == verdicts
    assert not check.ok
    assert check.usage == Usage()
    with pytest.raises(KeyError):
        check["no such finding"]


def test_tables_fit_a_terminal_and_hold_no_control_character():
    error = PermissionDeniedError("no " * 100 + "\x1b[31m\nend")
    rows = ProviderCheck(tag="a\x07", name="A", error=error), provider("b", served_by=("elsewhere " * 30,))
    many = compared(np.eye(17), *(provider(f"provider-{number}") for number in range(17)))
    finding = Finding(name="answers", verdict="ok", detail="word " * 100)
    model = ModelCheck(model="m", gateway="g", profile="unknown", findings=(finding,))
    for table in map(str, (compared(np.full((2, 2), NAN), *rows), many, model)):
        assert all(line.isprintable() and len(line) <= 100 for line in table.splitlines())
        assert not any(line.endswith(" ") for line in table.splitlines())
    assert "a?: PermissionDeniedError: no no" in str(compared(np.full((2, 2), NAN), *rows))
