"""Embedding columns past one machine: a job that any engine can carry, and one that needs no engine."""

from .columns import aembed_table, embed_table, embedded_schema
from .job import EmbedJob
from .limit import Limit, RateLimiter
from .report import JobReport, PartReport
from .worker import worker_client

__all__ = [
    "EmbedJob",
    "JobReport",
    "Limit",
    "PartReport",
    "RateLimiter",
    "aembed_table",
    "embed_table",
    "embedded_schema",
    "worker_client",
]
