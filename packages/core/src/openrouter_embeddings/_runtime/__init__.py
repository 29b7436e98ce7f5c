"""Performs what flows ask for: two drivers, one with threads and one with asyncio, and the queue before the gateway."""

from .drivers import adrive, drive
from .runtime import Runtime, Transport
from .waiting import TICK, CancelScope, TaskWaiter, ThreadWaiter

__all__ = ["TICK", "CancelScope", "Runtime", "TaskWaiter", "ThreadWaiter", "Transport", "adrive", "drive"]
