"""What a client learns: nothing from one answer, and nothing for ever."""

from __future__ import annotations

import pytest

from openrouter_embeddings._flows.learned import MAX_INPUTS, SAFE_INPUTS, SAFE_TOKENS, BatchLimits, LearnedLimits
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import Profile

FIRST_TRY = 32
FLOATS_UNTIL = 256


def limits(inputs: int = 64, tokens: int = 1000, encoding: str | None = None) -> LearnedLimits:
    return LearnedLimits(encoding=encoding, initial=BatchLimits(inputs, tokens))


def land(learned: LearnedLimits, times: int = 1, *, base64: bool = True, **how: int) -> None:
    for _ in range(times):
        learned.landed(count=how.get("count", 1), tokens=how.get("tokens", 1), was_base64=base64)


@pytest.mark.parametrize(
    ("options", "profile", "expected"),
    [
        ({}, {}, (SAFE_INPUTS, SAFE_TOKENS)),
        ({}, {"max_inputs": 2048, "max_request_tokens": 300_000}, (MAX_INPUTS, 300_000)),
        ({}, {"max_inputs": 96}, (96, SAFE_TOKENS)),
        ({"batch_size": 500, "batch_tokens": 7}, {"max_inputs": 96}, (500, 7)),
    ],
    ids=["unknown", "large", "small", "the user's"],
)
def test_a_client_begins_with_the_profiles_limits_or_the_users(options, profile, expected):
    learned = LearnedLimits.initial(Options(model="m", **options), Profile(family="f", **profile))
    assert learned.limits() == expected == (learned.max_inputs, learned.max_tokens)


@pytest.mark.parametrize(
    ("option", "base64", "asked", "known"),
    [
        ("auto", True, "base64", None),
        ("auto", False, "float", "float"),
        ("base64", False, "base64", "base64"),
        ("float", True, "float", "float"),
    ],
)
def test_what_the_user_or_the_profile_says_of_the_encoding_is_not_found_out(option, base64, asked, known):
    learned = LearnedLimits.initial(Options(model="m", encoding_format=option), Profile(family="f", base64=base64))
    assert (learned.encoding_to_ask_for(), learned.encoding) == (asked, known)


# ------------------------------------------------------------------------------------------------------------- encoding


def test_one_empty_answer_to_base64_teaches_nothing():
    learned = limits()
    learned.base64_refused(in_words=False)
    assert learned.base64_was_refused
    land(learned, base64=False)
    assert learned.encoding_to_ask_for() == "base64"
    land(learned)
    assert not learned.base64_was_refused
    learned.base64_refused(in_words=False)
    assert learned.encoding_to_ask_for() == "base64", "an answer in base64 between the two makes each of them the first"


def test_two_empty_answers_or_a_refusal_in_words_teach_that_floats_are_needed():
    empty, worded = limits(), limits()
    empty.base64_refused(in_words=False)
    empty.base64_refused(in_words=False)
    worded.base64_refused(in_words=True)
    for learned in (empty, worded):
        assert (learned.encoding_to_ask_for(), learned.encoding) == ("float", "float")


def test_base64_is_tried_again_and_where_that_is_in_vain_twice_as_late_the_next_time():
    learned = limits()
    learned.base64_refused(in_words=True)
    for asked_again_after in (FLOATS_UNTIL, 2 * FLOATS_UNTIL):
        land(learned, asked_again_after - 1, base64=False)
        assert learned.encoding_to_ask_for() == "float"
        land(learned, base64=False)
        assert learned.encoding_to_ask_for() == "base64"
        learned.base64_refused(in_words=False)
        assert learned.encoding_to_ask_for() == "float"


def test_one_answer_in_base64_ends_the_need_for_floats():
    learned = limits()
    learned.base64_refused(in_words=True)
    land(learned, FLOATS_UNTIL, base64=False)
    land(learned)
    assert (learned.encoding_to_ask_for(), learned.encoding) == ("base64", "base64")


# ---------------------------------------------------------------------------------------------------------------- width


def test_another_width_is_believed_when_it_comes_twice_in_a_row():
    learned = limits()
    assert learned.accepts_width(3)
    assert not learned.accepts_width(2)
    assert learned.dimensions == 3
    assert learned.accepts_width(2), "an odd first answer does not spoil every later call"
    assert learned.dimensions == 2


def test_another_width_that_comes_once_is_forgotten():
    learned = limits()
    for width in (2, 3, 2, 3, 2):
        assert learned.accepts_width(width) == (width == 2)
    assert learned.dimensions == 2


# --------------------------------------------------------------------------------------------------------- batch limits


def test_a_size_that_was_refused_is_halved_in_what_it_was_refused_for():
    learned = limits(64, 1000)
    learned.size_refused(count=33, tokens=900, by_tokens=False)
    assert learned.limits() == (17, 1000)
    learned.size_refused(count=10, tokens=600, by_tokens=True)
    assert learned.limits() == (17, 300)
    learned.size_refused(count=60, tokens=600, by_tokens=False)
    assert learned.limits() == (17, 300), "what is refused above the limit does not raise it"
    learned.size_refused(count=1, tokens=1, by_tokens=True)
    assert learned.limits() == (17, 1)


def test_a_number_that_a_refusal_names_is_the_limit():
    learned = limits(64)
    learned.limit_named(32)
    assert learned.max_inputs == 32
    learned.limit_named(48)
    assert learned.max_inputs == 32


def test_a_batch_that_was_refused_as_a_whole_once_teaches_nothing():
    learned = limits(64)
    learned.refused_as_a_whole(largest_landed=8)
    assert learned.max_inputs == 64
    land(learned, count=9)
    learned.refused_as_a_whole(largest_landed=8)
    assert learned.max_inputs == 64, "a larger one has landed meanwhile: the first was refused in passing"


def test_a_batch_that_is_refused_as_a_whole_twice_in_a_row_was_too_large():
    learned = limits(64)
    learned.refused_as_a_whole(largest_landed=8)
    land(learned, count=8)
    learned.refused_as_a_whole(largest_landed=4)
    assert learned.max_inputs == 8


def full_batches(learned: LearnedLimits, count: int) -> None:
    land(learned, count, count=learned.max_inputs, tokens=1)


def test_a_limit_grows_back_by_cautious_tries_and_then_fast():
    learned = limits(64)
    learned.limit_named(8)
    learned._growth.after = FIRST_TRY  # as after a first refusal
    full_batches(learned, FIRST_TRY - 1)
    assert learned.limits_to_try() == learned.limits()
    full_batches(learned, 1)
    assert learned.limits_to_try().inputs == 16
    for size in (16, 32, 64):
        learned.try_begins()
        land(learned, count=size)
        assert learned.max_inputs == size
        full_batches(learned, 1)
    assert learned.limits() == (64, 1000)
    assert learned.limits_to_try() == learned.limits(), "never more than at the start"


def test_batches_that_are_not_full_prove_nothing():
    learned = limits(64)
    learned.limit_named(8)
    land(learned, 10_000, count=7, tokens=1)
    assert learned.limits_to_try() == learned.limits()


def test_one_try_goes_out_at_a_time_and_each_that_is_refused_makes_the_next_one_rarer():
    learned, waits = limits(64), []
    learned.limit_named(8)
    for _ in range(5):
        count = 0
        while learned.limits_to_try() == learned.limits() and count < 2000:
            full_batches(learned, 1)
            count += 1
        waits.append(count)
        learned.try_begins()
        assert learned.limits_to_try() == learned.limits()
        learned.try_ended()
    assert waits == [32, 64, 128, 128, 128]


def test_a_try_that_landed_is_not_taken_for_one_that_failed():
    learned = limits(64)
    learned.limit_named(8)
    full_batches(learned, 64)
    learned.try_begins()
    land(learned, count=16)
    learned.try_ended()
    full_batches(learned, 1)
    assert learned.limits_to_try().inputs == 32


def test_a_limit_on_tokens_grows_back_too():
    learned = limits(64, 1000)
    learned.size_refused(count=4, tokens=400, by_tokens=True)
    assert learned.max_tokens == 200
    land(learned, 64, count=1, tokens=150)
    assert learned.limits_to_try() == (64, 400)
    land(learned, count=2, tokens=390)
    assert learned.max_tokens == 390
