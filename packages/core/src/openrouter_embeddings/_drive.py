"""The two drivers: they perform what flows ask for, one with threads, one with asyncio.

Nothing is decided here. A driver sends an effect's answer back into the flow until the flow returns.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar, cast

from ._drive_cache import Store
from ._drive_flights import Flight, Flights
from ._drive_gate import Gate, Scope, TaskWaiter, ThreadWaiter
from ._drive_http import Http
from ._effects import Fetch, Flow, Follow, Gather, Heard, NotSent, Recall, Remember, Send, Sent, Sleep, Withheld
from ._limits import Limits, Signal

T = TypeVar("T")
_MOST_LISTING = 64 * 1024 * 1024


class World:
    """What one client's flows act on: its gate and its connections. Shared by all threads, loops and colours."""

    def __init__(self, *, limits: Limits, http: Http, url: str, store: Store, flights: Flights) -> None:
        self.gate = Gate(limits)
        self.flights = flights
        self.http = http
        self.store = store
        self.url = url
        self.under_way: set[Any] = set()
        """What streams have begun and not seen through: futures and tasks."""
        _worlds.add(self)

    def after_fork(self) -> None:
        """Drop what belongs to the parent: sockets, locks, places."""
        self.gate.after_fork()
        self.flights.after_fork()
        self.http.forget()
        self.under_way.clear()


_worlds: weakref.WeakSet[World] = weakref.WeakSet()


def _after_fork() -> None:
    for world in list(_worlds):
        world.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def drive(flow: Flow[T], world: World, scope: Scope | None = None) -> T:
    """Run a flow to its end in this thread."""
    scope = scope or Scope()
    answer: Any = None
    try:
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result
            match effect:
                case Send():
                    answer = _send(effect, world, scope)
                case Fetch(url, keyed):
                    answer = world.http.exchange(url, None, _MOST_LISTING, keyed=keyed)
                case Recall(keys):
                    answer = world.store.get(keys)
                case Remember(items):
                    world.store.put(items)
                    answer = None
                case Sleep(seconds):
                    answer = _pause(seconds, scope)
                case Follow(flight, seconds):
                    answer = _follow(cast("Flight", flight), seconds, scope)
                case Gather(flows):
                    answer = _gather(flows, world, scope)
    finally:
        flow.close()


def _send(effect: Send[T], world: World, scope: Scope) -> Sent[T] | NotSent:
    entering = world.gate.entering(effect.tokens, effect.patience, scope, ThreadWaiter)
    while True:
        try:
            waiter, delay = next(entering)
        except StopIteration as done:
            ticket, waited = done.value
            break
        waiter.wait(delay)  # type: ignore[attr-defined]
    if isinstance(ticket, NotSent):
        return ticket
    signal: Signal | None = None
    try:
        body = effect.build()
        if body is None:
            return NotSent(Withheld.UNWANTED)
        verdict, signal = effect.read(world.http.exchange(world.url, body, effect.max_bytes))
    finally:
        may_replay = world.gate.leave(ticket, signal)
    return Sent(verdict, waited, may_replay, world.gate.chance())


def _pause(seconds: float, scope: Scope) -> bool:
    waiter = ThreadWaiter()
    scope.watch(waiter)
    try:
        waiter.wait(seconds)
    finally:
        scope.forget(waiter)
    return not scope.stopped


def _follow(flight: Flight, seconds: float, scope: Scope) -> dict[Hashable, Heard]:
    waiter = ThreadWaiter()
    scope.watch(waiter)
    flight.wake_when_heard(waiter)
    try:
        waiter.wait(seconds)
    finally:
        scope.forget(waiter)
    return flight.heard()


def _gather(flows: Sequence[Flow[T]], world: World, scope: Scope) -> list[T | BaseException]:
    outcomes: list[Any] = [None] * len(flows)

    def run(at: int) -> None:
        try:
            outcomes[at] = drive(flows[at], world, scope)
        except BaseException as failed:
            outcomes[at] = failed
            scope.stop()

    if len(flows) == 1:
        run(0)
        if isinstance(outcomes[0], (KeyboardInterrupt, SystemExit)):
            raise outcomes[0]
        return outcomes
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run, args=(run, at), name="openrouter-embeddings", daemon=True
        )
        for at in range(len(flows))
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        scope.stop()  # Ctrl-C: what is in flight may land, nothing more leaves
        raise
    return outcomes


async def adrive(flow: Flow[T], world: World, scope: Scope | None = None) -> T:
    """Run a flow to its end on the running loop."""
    scope = scope or Scope()
    answer: Any = None
    try:
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result
            match effect:
                case Send():
                    answer = await _asend(effect, world, scope)
                case Fetch(url, keyed):
                    answer = await world.http.aexchange(url, None, _MOST_LISTING, keyed=keyed)
                # A disk may be slow: off the loop. A thread that stores goes on if its task is cancelled.
                case Recall(keys):
                    answer = await asyncio.to_thread(world.store.get, keys)
                case Remember(items):
                    answer = await asyncio.to_thread(world.store.put, items)
                case Sleep(seconds):
                    answer = await _apause(seconds, scope)
                case Follow(flight, seconds):
                    answer = await _afollow(cast("Flight", flight), seconds, scope)
                case Gather(flows):
                    answer = await _agather(flows, world, scope)
    except asyncio.CancelledError:
        scope.stop()
        raise
    finally:
        flow.close()


async def _asend(effect: Send[T], world: World, scope: Scope) -> Sent[T] | NotSent:
    entering = world.gate.entering(effect.tokens, effect.patience, scope, TaskWaiter)
    while True:
        try:
            waiter, delay = next(entering)
        except StopIteration as done:
            ticket, waited = done.value
            break
        try:
            await waiter.wait(delay)  # type: ignore[attr-defined]
        except BaseException:
            entering.close()  # give up the place in the queue
            raise
    if isinstance(ticket, NotSent):
        return ticket
    signal: Signal | None = None
    try:
        body = effect.build()
        if body is None:
            return NotSent(Withheld.UNWANTED)
        verdict, signal = effect.read(await world.http.aexchange(world.url, body, effect.max_bytes))
    finally:
        may_replay = world.gate.leave(ticket, signal)
    return Sent(verdict, waited, may_replay, world.gate.chance())


async def _apause(seconds: float, scope: Scope) -> bool:
    waiter = TaskWaiter()
    scope.watch(waiter)
    try:
        await waiter.wait(seconds)
    finally:
        scope.forget(waiter)
    return not scope.stopped


async def _afollow(flight: Flight, seconds: float, scope: Scope) -> dict[Hashable, Heard]:
    waiter = TaskWaiter()
    scope.watch(waiter)
    flight.wake_when_heard(waiter)
    try:
        await waiter.wait(seconds)
    finally:
        scope.forget(waiter)
    return flight.heard()


async def _agather(flows: Sequence[Flow[T]], world: World, scope: Scope) -> list[Any]:
    async def run(flow: Flow[T]) -> T:
        """Stop the siblings when one fails."""
        try:
            return await adrive(flow, world, scope)
        except BaseException:
            scope.stop()
            raise

    tasks = [asyncio.create_task(run(flow)) for flow in flows]
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
