"""Work that threads do: in order, so many at a time, and whatever interrupts those who wait for it."""

from __future__ import annotations

import contextvars
import threading

import pytest

from openrouter_embeddings._runtime import Job, JobThreads, ThreadWaiter

from ...support.interrupts import ends, interrupted_everywhere

FAR = 600.0


def test_a_job_has_what_its_work_returned_or_raised():
    def fail() -> None:
        raise ZeroDivisionError

    good, bad = Job(lambda: 7), Job(fail)
    assert not good.done()
    good.run()
    bad.run()
    assert good.done()
    assert good.outcome == 7
    assert isinstance(bad.outcome, ZeroDivisionError)


def test_a_job_is_done_in_the_context_in_which_it_was_made():
    number = contextvars.ContextVar("number", default=0)
    number.set(1)
    job = Job(number.get)
    number.set(2)
    job.start()
    job.wait()
    assert job.outcome == 1


def test_jobs_are_begun_in_their_order_and_so_many_run_at_once():
    begun: list[int] = []
    gates = [threading.Event() for _ in range(6)]
    sign = threading.Semaphore(0)

    def work(number: int) -> None:
        begun.append(number)
        sign.release()
        gates[number].wait(FAR)

    threads = JobThreads(2)
    jobs = [Job(lambda number=number: work(number)) for number in range(6)]
    for job in jobs:
        threads.start(job)
    for number in range(6):
        for _ in range(2 if number == 0 else 1):
            if len(begun) < 6 or number == 0:
                sign.acquire(timeout=FAR)
        assert sorted(begun) == list(range(min(number + 2, 6)))
        gates[number].set()
        jobs[number].wait()


def test_a_thread_without_a_job_ends_and_another_one_begins_when_there_is_one():
    threads = JobThreads(1)
    seen: list[threading.Thread] = []
    for _ in range(2):
        job = Job(lambda: seen.append(threading.current_thread()))
        threads.start(job)
        job.wait()
        seen[-1].join(FAR)
        assert not seen[-1].is_alive()
    assert len(set(seen)) == 2


@pytest.mark.parametrize("woken", [False, True])
def test_a_wait_that_ctrl_c_ends_anywhere_leaves_its_waker_free(woken):
    waiters: list[ThreadWaiter] = []

    def wait():
        waiters.append(waiter := ThreadWaiter())
        if woken:
            waiter.wake()
        return lambda: waiter.wait(0.01)

    points = 0
    for points in interrupted_everywhere("", wait):
        assert ends(waiters[-1].wake), points
        assert ends(lambda: waiters[-1].wait(FAR))
    assert points > 0


def test_a_consumer_that_ctrl_c_ends_anywhere_leaves_jobs_that_are_done_and_threads_that_end():
    begun: list[Job[None]] = []
    before: set[threading.Thread] = set()

    def consume():
        begun.clear()
        before.clear()
        before.update(threading.enumerate())
        threads = JobThreads(2)

        def run() -> None:
            for _ in range(3):
                job = Job(lambda: None)
                threads.start(job)
                begun.append(job)
            for job in begun:
                job.wait()

        return run

    points = 0
    # Not within `Thread.start`, which is not ours.
    for points in interrupted_everywhere("_runtime", consume):
        for job in begun:
            assert ends(job.wait), points
        for thread in set(threading.enumerate()) - before:
            thread.join(FAR)
            assert not thread.is_alive(), points
    assert points > 20
