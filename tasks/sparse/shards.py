"""Texts encoded into sparse vectors by workers, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.embed.shards import AT_ONCE, TEXTS
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.sparse.encoder import SparseEncoder, check_stored_sparse, plan_sparse
from nightrank.tasks.workers.cut import DriftSample, Place, asked_and_made, slices
from nightrank.tasks.workers.seats import model_at, require_same_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.bucket.shards import SharedFile, SharedFolder
    from nightrank.tasks.settings.index import SparseSettings
    from nightrank.tasks.settings.quality import DriftCheckSettings
    from nightrank.tasks.workers.cut import Sharding


@dataclass(frozen=True, slots=True)
class SparseShard:
    """Texts that a worker is to encode.

    Attributes:
        number: Its place among those of the stage, from 0.
        source: Schema TEXTS.
        kind: Whether they are chunks or queries.
        model: The encoder.
        place: Where to compute.
        drift_sample: What is stored, with ``text`` and the vectors' columns; None where nothing is yet.
    """

    number: int
    source: SharedFile
    kind: Literal["passages", "queries"]
    model: SparseReference
    place: Place
    drift_sample: DriftSample | None


@dataclass(frozen=True, slots=True)
class SparseSharding:
    """How a stage's texts are encoded by workers.

    Attributes:
        sharding: How the work is cut.
        model: The encoder.
        device: Of the run itself.
        folder: Where shards lie.
        drift_check: How what is stored is watched.
    """

    sharding: Sharding
    model: SparseReference
    device: str
    folder: SharedFolder
    drift_check: DriftCheckSettings

    def vectors(
        self, texts: Iterable[pa.Table], kind: Literal["passages", "queries"], *, stored: pa.Table | None
    ) -> Iterator[tuple[list[str], SparseVectors]]:
        """Encode texts by workers.

        Args:
            texts: Schema TEXTS, a table a shard.
            kind: Whether they are chunks or queries.
            stored: A sample of what is known of chunks, with ``text`` and the vectors' columns; None where nothing is.

        Yields:
            Of each shard, as they end, keys (n,) and vectors.

        Raises:
            MachineError: A worker does not say again what is stored, or a shard cannot be done.
        """
        self.folder.make()
        sources = [self.folder.write(f"sparse-{kind}-{number:06d}", table) for number, table in enumerate(texts)]
        drift_sample = None
        if stored is not None and stored.num_rows:
            drift_sample = DriftSample(self.folder.write(f"sparse-{kind}-stored", stored), self.drift_check)
        place = self.sharding.place_on(self.device)
        shards = [
            SparseShard(number, source, kind, self.model, place, drift_sample) for number, source in enumerate(sources)
        ]
        with progress("encoding", sum(source.rows for source in sources)) as advance:
            for shard, output in self.sharding.workers.compute(encode_shard, shards):
                asked, made = asked_and_made(shard.source, output, keys=["key"], kind="texts")
                yield asked.column("key").to_pylist(), SparseVectors.in_table(made)
                shard.source.remove()
                output.remove()
                advance(shard.source.rows)


@stage_task("encode shard", task_run_name="encode {shard.kind} {shard.number}", retry=RETRIED)
def encode_shard(shard: SparseShard) -> SharedFile:
    """Encode the texts of a shard, on whatever machine this runs."""
    texts = shard.source.read().cast(TEXTS)
    with model_at(shard.place, shard.model, shard.drift_sample, _check) as model:
        encode = model.encode_passages if shard.kind == "passages" else model.encode_queries
        found = [encode(part.column("text").to_pylist()) for part in slices(texts, AT_ONCE)]
    encoded = SparseVectors.joined(found).with_keys(texts.column("key"))
    return shard.source.folder.write(f"sparse-{shard.kind}-{shard.number:06d}-done", encoded)


def _check(model: SparseEncoder, drift_sample: DriftSample) -> None:
    stored = drift_sample.file.read()
    texts = stored.column("text").to_pylist()
    check_stored_sparse(model, texts, SparseVectors.in_table(stored), settings=drift_sample.settings)


@dataclass(frozen=True, slots=True)
class SparseReference:
    """A sparse encoder; the attributes are those of ``EmbedderReference``."""

    settings: SparseSettings
    base: Path
    precision: str
    fingerprint: str

    def load(self, place: Place, device: str) -> SparseEncoder:
        """The encoder.

        Raises:
            InputError: It is not there, or the device is not.
            MachineError: This machine has other files under its name.
        """
        settings = self.settings.model_copy(update={"precision": self.precision})
        plan = plan_sparse(settings, ExecutionSettings(device=device), base=self.base)
        require_same_model(self.settings.model, plan.fingerprint, self.fingerprint)
        return SparseEncoder(plan, batch_tokens=place.batch_tokens, threads=place.threads)
