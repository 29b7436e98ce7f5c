"""Performs what flows ask for: two drivers, one with threads and one with asyncio, and the queue before the gateway."""

from .drivers import adrive, drive
from .jobs import Job, JobThreads
from .runtime import Runtime, Transport
from .waiting import CancelScope, TaskWaiter, ThreadWaiter

__all__ = [
    "CancelScope",
    "Job",
    "JobThreads",
    "Runtime",
    "TaskWaiter",
    "ThreadWaiter",
    "Transport",
    "adrive",
    "drive",
]
