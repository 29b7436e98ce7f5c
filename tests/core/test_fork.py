"""In a forked child no other thread lives on: locks are free, and whoever asked is told."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

from openrouter_embeddings._fork import AliveSet, ForkAware, Lock, _after_in_parent, _before

from ..support.interrupts import interrupted_everywhere

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # of Python 3.12 and later
]


def in_child(check) -> int:
    """Fork, and return 0 if the check holds in the child."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_lock_that_another_thread_holds_is_free_in_the_child_and_held_in_the_parent():
    lock, held, release = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)

    def can_be_taken() -> bool:
        with lock:
            return True

    assert in_child(can_be_taken) == 0
    assert lock.__enter__.__self__.locked()
    release.set()
    thread.join()


def test_a_block_that_ctrl_c_ends_anywhere_leaves_its_lock_free():
    lock = Lock()

    def hold() -> None:
        with lock:
            sum([1])
        sum([2])

    points = 0
    for points in interrupted_everywhere("", lambda: hold):
        assert not lock.__enter__.__self__.locked(), points
    assert points >= 3


class Told(ForkAware):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.lock = Lock()
        super().__init__()

    def before_fork(self) -> None:
        self.heard.append("before")

    def after_fork_in_parent(self) -> None:
        self.heard.append("parent")

    def after_fork(self) -> None:
        with self.lock:  # which was reset before
            self.heard.append("child")


def test_whoever_is_aware_is_told_before_and_after_on_both_sides():
    told = Told()
    with told.lock:
        assert in_child(lambda: told.heard == ["before", "child"]) == 0
    assert told.heard == ["before", "parent"]


def test_they_are_told_while_other_threads_make_more_of_their_kind():
    """Each call has locks of its own. Were the hooks to fail midway, what the fork closed would stay closed for ever."""
    told, over, interval = [Told() for _ in range(2_000)], threading.Event(), sys.getswitchinterval()

    def make() -> None:
        while not over.is_set():
            Lock()

    thread = threading.Thread(target=make)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(10):  # what a fork calls, without one: coverage's own lock would not be free in the child
            _before()
            _after_in_parent()
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert all(one.heard == ["before", "parent"] * 10 for one in told)


def test_what_is_forgotten_is_told_nothing():
    heard = Told().heard
    gc.collect()
    assert in_child(lambda: True) == 0
    assert heard == []


def test_what_has_nothing_to_do_does_nothing():
    aware = ForkAware()
    assert in_child(lambda: aware is not None) == 0


# ------------------------------------------------------------------------ what is known without being kept alive


class Member:
    pass


def test_a_member_is_there_once_for_as_long_as_it_lives():
    members: AliveSet[Member] = AliveSet()
    kept, lost = Member(), Member()
    for member in (kept, lost, kept):
        members.add(member)
    assert set(members) == {kept, lost}
    del member, lost
    assert list(members) == [kept]


def test_members_may_come_and_go_while_it_is_walked_through():
    members: AliveSet[Member] = AliveSet()
    kept = [Member() for _ in range(100)]
    for member in kept:
        members.add(member)
        assert len(list(members)) <= 100
    over, interval = threading.Event(), sys.getswitchinterval()

    def come_and_go() -> None:
        while not over.is_set():
            members.add(Member())

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    try:
        for _ in range(1_000):
            assert set(kept) <= set(members)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
