"""A job on Daft: two columns by a class of ours, or one by Daft's own `embed_text`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Any

import daft
import pyarrow as pa
from daft import DataType, Series
from daft.ai.protocols import TextEmbedder, TextEmbedderDescriptor
from daft.ai.provider import Provider
from daft.ai.typing import EmbeddingDimensions, UDFOptions

from openrouter_embeddings import ConfigurationError

from .columns import aembed_table, embedded_schema
from .spec import JobSpec
from .worker import worker_client

_BATCH = 2048
_REQUEST = 256
"""Texts of a large request."""
_log = logging.getLogger(__name__)


def embed_frame(job: JobSpec, frame: daft.DataFrame, *, workers: int | None = None, batch_size: int = _BATCH) -> Any:
    """Return the rows with their embeddings and why a row has none. Daft's plans stay lazy.

    A row that cannot be embedded costs itself alone. Rows may change their order.

    Args:
        job: What to embed.
        frame: A Daft DataFrame with a column of strings.
        workers: How many processes run the plan. None: one, and on Ray one for each node.
        batch_size: Rows that are given out together.

    Raises:
        ConfigurationError: The columns do not fit the job, or the width of the embeddings is not known.
    """
    schema = embedded_schema(job, frame.schema().to_pyarrow_schema())
    shares = _processes() if workers is None else workers
    width = schema.field(job.out).type.list_size
    fields = {job.out: DataType.embedding(DataType.float32(), width), job.error_column: DataType.string()}
    struct = daft.method.batch(return_dtype=DataType.struct(fields), unnest=True, batch_size=batch_size)

    # A class for each call: Daft keeps a method's type and batch size on the function, so one class shared by two
    # expressions would give the first what the second says.
    class Embed:
        def __init__(self) -> None:
            self.client = worker_client(job, shares).as_async()

        @struct  # type: ignore[untyped-decorator]
        async def __call__(self, texts: Series) -> pa.Array:
            table = await aembed_table(self.client, job, pa.table({job.column: texts.to_arrow()}))
            columns = [table.column(name).combine_chunks() for name in fields]
            return pa.StructArray.from_arrays(columns, names=list(fields))

    embed = daft.cls(
        Embed, max_concurrency=_batches_at_once(job, shares, batch_size), max_retries=0, use_process=False,
        name_override="embed_text",
    )()  # fmt: skip
    return frame.select(*frame.column_names, embed(daft.col(job.column)))


def provider(job: JobSpec, *, workers: int | None = None, batch_size: int = _BATCH) -> EmbedProvider:
    """Return what Daft's `embed_text` takes as its provider. It gives one column: why a row has none goes to the log."""
    return EmbedProvider(job, _processes() if workers is None else workers, batch_size)


class EmbedProvider(Provider):
    """Gives Daft's `embed_text` a job's model.

    Args:
        job: What to embed. Its column names do not matter here.
        shares: How many processes run the plan.
        batch_size: Rows that are given out together.
    """

    def __init__(self, job: JobSpec, shares: int, batch_size: int) -> None:
        job.limit.share(shares)
        self._job, self._shares, self._batch_size = job, shares, batch_size

    @property
    def name(self) -> str:
        """The provider's name."""
        return "openrouter-embeddings"

    def get_text_embedder(
        self, model: str | None = None, dimensions: int | None = None, **options: Any
    ) -> EmbedDescriptor:
        """Return what makes the embedder on each worker.

        Args:
            model: The job's model, or None.
            dimensions: The width, where the job does not say it.
            **options: `batch_size`.

        Raises:
            ConfigurationError: What `embed_text` says is not what the job says.
        """
        job = self._job
        if model not in {None, job.model}:
            raise ConfigurationError(f"The job embeds with {job.model!r}, embed_text asks for {model!r}.")
        batch_size = options.pop("batch_size", self._batch_size)
        if options:
            raise ConfigurationError(
                f"embed_text takes no {min(options)}= here: the job says what becomes of failures and repeats."
            )
        asked = job.options.get("dimensions")
        if dimensions is not None and asked not in {None, dimensions}:
            raise ConfigurationError(f"The job asks for {asked} dimensions, embed_text for {dimensions}.")
        if dimensions != asked and dimensions is not None:
            job = _with_dimensions(job, dimensions)
        if job.dimensions is None:
            raise ConfigurationError(f"The width of {job.model!r} is not known. Pass dimensions=.")
        return EmbedDescriptor(job, self._shares, batch_size)


@dataclass(frozen=True)
class EmbedDescriptor(TextEmbedderDescriptor):
    """What travels to a worker and makes its embedder there."""

    job: JobSpec
    shares: int
    batch_size: int

    def get_provider(self) -> str:
        """Return the provider's name."""
        return "openrouter-embeddings"

    def get_model(self) -> str:
        """Return the model's id."""
        return self.job.model

    def get_options(self) -> dict[str, Any]:
        """Return what Daft may show."""
        return {"batch_size": self.batch_size}

    def get_dimensions(self) -> EmbeddingDimensions:
        """Return the width, which is known before the first embedding."""
        assert self.job.dimensions is not None
        return EmbeddingDimensions(size=self.job.dimensions, dtype=DataType.float32())

    def get_udf_options(self) -> UDFOptions:
        """Let Daft repeat nothing: the client has retried what is worth it."""
        at_once = _batches_at_once(self.job, self.shares, self.batch_size)
        return UDFOptions(concurrency=at_once, max_retries=0, on_error="raise", batch_size=self.batch_size)

    def is_async(self) -> bool:
        """Return True."""
        return True

    def instantiate(self) -> Embedder:
        """Return the embedder of this process."""
        return Embedder(self.job, self.shares)


class Embedder(TextEmbedder):
    """Embeds what Daft gives out. A row that cannot be embedded is None.

    Args:
        job: What to embed.
        shares: How many processes run the plan.
    """

    def __init__(self, job: JobSpec, shares: int) -> None:
        self._job = job
        self._client = worker_client(job, shares).as_async()

    async def embed_text(self, text: list[Any]) -> Any:
        """Return one embedding for each text, in order, as an Arrow array."""
        job = self._job
        table = await aembed_table(self._client, job, pa.table({job.column: pa.array(text, pa.large_string())}))
        reasons = table.column(job.error_column).drop_null()
        if len(reasons):
            _log.warning("%d of %d texts have no embedding. First: %s", len(reasons), len(text), reasons[0])
        return table.column(job.out).combine_chunks()


def _with_dimensions(job: JobSpec, dimensions: int) -> JobSpec:
    options = {**job.options, "dimensions": dimensions}
    values = {field.name: getattr(job, field.name) for field in fields(job)} | {"options": None, "api_key_env": None}
    named = {name: value for name, value in values.items() if value is not None}
    # What the job carries, it was allowed to carry.
    return JobSpec(**named, **options, allow_literal_key=True)


def _batches_at_once(job: JobSpec, shares: int, batch_size: int) -> int:
    """Return how many batches keep this worker's requests busy: four for each in flight, as each batch has an end."""
    return max(2, -(-4 * job.limit.share(shares).concurrency * _REQUEST // batch_size))


def _processes() -> int:
    """Return how many processes run a plan: one by itself, one a node on Ray."""
    if daft.get_or_infer_runner_type() != "ray":
        return 1
    import ray

    return max(1, sum(node["Alive"] for node in ray.nodes())) if ray.is_initialized() else 1
