"""A job: what to embed and how, and each engine that can carry it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .files import embed_files, report_files
from .report import JobReport
from .spec import JobSpec


class EmbedJob(JobSpec):  # noqa: D101  its docstring is that of what it holds
    __doc__ = JobSpec.__doc__

    def files(
        self,
        source: str | os.PathLike[str] | Sequence[str],
        target: str | os.PathLike[str],
        *,
        filesystem: Any = None,
        part_rows: int | None = None,
    ) -> JobReport:
        """Embed Parquet files into a folder, and go on where an earlier run ended. See `files.embed_files`."""
        return embed_files(self, source, target, filesystem=filesystem, part_rows=part_rows)

    def report(self, target: str | os.PathLike[str], *, filesystem: Any = None) -> JobReport:
        """Return what all runs into a folder have come to: tokens, cost, failures, replays. See `files.report_files`."""
        return report_files(target, filesystem=filesystem)

    def ray(self, dataset: Any, **options: Any) -> Any:
        """Embed a Ray dataset. See `on_ray.embed_dataset`."""
        from .on_ray import embed_dataset

        return embed_dataset(self, dataset, **options)

    def daft(self, frame: Any = None, **options: Any) -> Any:
        """Embed a Daft DataFrame; without one, return a provider for Daft's `embed_text`. See `on_daft`."""
        from .on_daft import embed_frame, provider

        return provider(self, **options) if frame is None else embed_frame(self, frame, **options)

    def spark(self, frame: Any, **options: Any) -> Any:
        """Embed a Spark DataFrame. See `on_spark.embed_frame`."""
        from .on_spark import embed_frame

        return embed_frame(self, frame, **options)

    def dask(self, frame: Any, **options: Any) -> Any:
        """Embed a Dask DataFrame. See `on_dask.embed_frame`."""
        from .on_dask import embed_frame

        return embed_frame(self, frame, **options)
