"""What a caller is told of how far a call is: one at a time, in order."""

from __future__ import annotations

import threading
from itertools import pairwise

from openrouter_embeddings._flows.progress import Progress


def test_what_is_no_more_than_was_told_is_not_told():
    told: list[tuple[int, int]] = []
    progress = Progress(lambda done, of: told.append((done, of)), 5)
    for done in (0, 2, 2, 1, 5, 4):
        progress.report(lambda done=done: done)
    assert told == [(2, 5), (5, 5)]


def test_threads_are_told_of_one_at_a_time_and_never_a_step_back():
    many, inside, told = 200, threading.Lock(), []
    counted = iter(range(1, 8 * many + 1))

    def tell(done: int, _: int) -> None:
        assert inside.acquire(blocking=False), "two reports at the same time"
        told.append(done)
        inside.release()

    progress = Progress(tell, 8 * many)
    failed: list[BaseException] = []

    def land() -> None:
        try:
            for _ in range(many):
                progress.report(lambda: next(counted))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=land) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(told) == 8 * many
    assert all(before < after for before, after in pairwise(told))


def test_an_exception_of_the_callback_leaves_it_usable():
    told: list[int] = []

    def tell(done: int, _: int) -> None:
        if done == 1:
            raise ZeroDivisionError
        told.append(done)

    progress = Progress(tell, 2)
    for done in (1, 2):
        try:
            progress.report(lambda done=done: done)
        except ZeroDivisionError:
            assert done == 1
    assert told == [2]
