"""Texts embedded by workers, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.embed.encoder import Embedder, check_stored_vectors, plan_embedder
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.workers.cut import DriftSample, Place, asked_and_made, slices
from nightrank.tasks.workers.seats import model_at, require_same_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.bucket.shards import SharedFile, SharedFolder
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.settings.index import EmbedderSettings
    from nightrank.tasks.settings.quality import DriftCheckSettings
    from nightrank.tasks.workers.cut import Sharding

TEXTS = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
AT_ONCE = 1024  # texts given to a model together, as a run that embeds by itself does: on a GPU the same batches


@dataclass(frozen=True, slots=True)
class EmbeddingShard:
    """Texts that a worker is to embed.

    Attributes:
        number: Its place among those of the stage, from 0.
        source: Schema TEXTS.
        kind: Whether they are chunks or queries.
        model: The embedder.
        place: Where to compute.
        drift_sample: What is stored, with ``text`` and ``vector``; None where nothing is yet.
    """

    number: int
    source: SharedFile
    kind: Literal["passages", "queries"]
    model: EmbedderReference
    place: Place
    drift_sample: DriftSample | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """What came of a shard.

    Attributes:
        keys: (n,).
        texts: (n,).
        tokens: (n,) the texts' lengths.
        vectors: float32 (n, dim).
    """

    keys: list[str]
    texts: list[str]
    tokens: list[int]
    vectors: NDArray[np.float32]


@stage_task("embed shard", task_run_name="embed {shard.kind} {shard.number}", retry=RETRIED)
def embed_shard(shard: EmbeddingShard) -> SharedFile:
    """Embed the texts of a shard, on whatever machine this runs."""
    texts = shard.source.read()
    with model_at(shard.place, shard.model, shard.drift_sample, _check) as model:
        embed = model.embed_passages if shard.kind == "passages" else model.embed_queries
        found = [embed(part.column("text").to_pylist()) for part in slices(texts, AT_ONCE)]
        tokens = load_token_counter(model.plan.files.folder)(texts.column("text").to_pylist())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(found).ravel()), model.dimensions)
    columns = {"key": texts.column("key"), "tokens": pa.array(tokens, pa.int32()), "vector": vectors}
    return shard.source.folder.write(f"{shard.kind}-{shard.number:06d}-done", pa.table(columns))


def embed_in_shards(
    texts: Iterable[tuple[list[str], list[str]]],
    kind: Literal["passages", "queries"],
    *,
    folder: SharedFolder,
    base: Path,
    drift_check: DriftCheckSettings,
    embedder: LazyEmbedder,
    sharding: Sharding,
    stored: pa.Table | None,
) -> Iterator[Embedded]:
    """Embed texts by workers.

    Args:
        texts: Keys and texts of each shard.
        kind: Whether they are chunks or queries.
        folder: Where shards lie.
        base: The folder that paths in settings are relative to.
        drift_check: How what is stored is watched.
        embedder: What embeds them.
        sharding: How the work is cut.
        stored: A sample of what it has embedded before, with ``text`` and ``vector``; None where it has nothing yet.

    Yields:
        What came of each shard, as they end.

    Raises:
        MachineError: A worker does not say again what is stored, or a shard cannot be done.
    """
    plan = embedder.plan
    folder.make()
    tables = (pa.table(list(columns), schema=TEXTS) for columns in texts)
    sources = [folder.write(f"{kind}-{number:06d}", table) for number, table in enumerate(tables)]
    drift_sample = None
    if stored is not None and stored.num_rows:
        drift_sample = DriftSample(folder.write("vectors-stored", stored), drift_check)
    model = EmbedderReference(plan.settings, base, plan.precision, plan.fingerprint)
    place = sharding.place_on(plan.device)
    shards = [EmbeddingShard(number, source, kind, model, place, drift_sample) for number, source in enumerate(sources)]
    with progress("embedding", sum(source.rows for source in sources)) as advance:
        for shard, output in sharding.workers.compute(embed_shard, shards):
            asked, made = asked_and_made(shard.source, output, keys=["key"], kind="texts")
            dimensions = made.schema.field("vector").type.list_size
            yield Embedded(
                asked.column("key").to_pylist(),
                asked.column("text").to_pylist(),
                made.column("tokens").to_pylist(),
                vectors_of(made, dimensions),
            )
            shard.source.remove()
            output.remove()
            advance(shard.source.rows)
    embedder.vectors_checked = 0 if stored is None else stored.num_rows


def _check(model: Embedder, drift_sample: DriftSample) -> None:
    check_stored_vectors(model, drift_sample.file.read(), settings=drift_sample.settings)


@dataclass(frozen=True, slots=True)
class EmbedderReference:
    """An embedder.

    Attributes:
        settings: That name it.
        base: The folder that paths in them are relative to.
        precision: Of the run, whatever suits the worker's device better.
        fingerprint: That the worker's files must have too.
    """

    settings: EmbedderSettings
    base: Path
    precision: str
    fingerprint: str

    def load(self, place: Place, device: str) -> Embedder:
        """The embedder.

        Raises:
            InputError: It is not there, or the device is not.
            MachineError: This machine has other files under its name.
        """
        settings = self.settings.model_copy(update={"precision": self.precision})
        plan = plan_embedder(settings, ExecutionSettings(device=device), base=self.base)
        require_same_model(self.settings.model, plan.fingerprint, self.fingerprint)
        return Embedder(plan, batch_tokens=place.batch_tokens, threads=place.threads)
