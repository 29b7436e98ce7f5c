"""What a caller is told of how far a call is: one report at a time, in order."""

from __future__ import annotations

import threading
from itertools import pairwise

from openrouter_embeddings._flows.progress import ProgressReports


def test_each_distinct_input_counts_once_for_every_position_it_stands_at():
    told: list[tuple[int, int]] = []
    reports = ProgressReports(lambda done, of: told.append((done, of)), [0, 1, 0, 2, 1])
    for members in ([], [0], [0], [2, 0], [1]):
        reports.report(members)
    assert told == [(2, 5), (3, 5), (5, 5)]


def test_what_is_noted_is_told_with_what_comes_next():
    told: list[tuple[int, int]] = []
    reports = ProgressReports(lambda done, of: told.append((done, of)), [0, 1, 2])
    reports.note([2])
    assert told == []
    reports.report([0])
    assert told == [(2, 3)]


def test_threads_are_told_of_one_at_a_time_and_never_a_step_back():
    each, inside, told = 200, threading.Lock(), []

    def tell(done: int, _: int) -> None:
        assert inside.acquire(blocking=False), "two reports at the same time"
        told.append(done)
        inside.release()

    reports = ProgressReports(tell, range(8 * each))
    failed: list[BaseException] = []

    def land(first: int) -> None:
        try:
            for member in range(first, first + each):
                reports.report([member])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=land, args=(worker * each,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(told) == 8 * each
    assert all(before < after for before, after in pairwise(told))


def test_an_exception_of_the_callback_leaves_it_usable():
    told: list[int] = []

    def tell(done: int, _: int) -> None:
        if done == 1:
            raise ZeroDivisionError
        told.append(done)

    reports = ProgressReports(tell, [0, 1])
    for member in (0, 1):
        try:
            reports.report([member])
        except ZeroDivisionError:
            assert member == 0
    assert told == [2]
