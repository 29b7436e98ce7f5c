"""A set that keeps nobody alive, and that threads share."""

from __future__ import annotations

import sys
import threading

from openrouter_embeddings._alive import AliveSet


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
