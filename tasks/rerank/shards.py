"""Pairs scored by workers, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.tasks.models.drift_check import compare_with_stored
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.rerank.openvino import OpenvinoReranker
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
    from nightrank.tasks.rerank.scorer import Scorer
    from nightrank.tasks.settings.quality import DriftCheckSettings
    from nightrank.tasks.settings.ranking import RerankerSettings
    from nightrank.tasks.workers.cut import Sharding

    LocalReranker = Reranker | OpenvinoReranker

AT_ONCE = 1024  # pairs given to a model together, as a run that scores by itself does: on a GPU the same batches
KEYS = ["text_key", "chunk_hash"]
PAIRS = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in (*KEYS, "query", "text")),
        pa.field("tokens", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class PairShard:
    """Pairs that a worker is to score.

    Attributes:
        number: Its place among those of the stage, from 0.
        source: Schema PAIRS.
        model: The reranker.
        place: Where to compute.
        drift_sample: What is stored, schema PAIRS and its ``stored`` score; None where nothing is yet.
    """

    number: int
    source: SharedFile
    model: RerankerReference
    place: Place
    drift_sample: DriftSample | None


@dataclass(frozen=True, slots=True)
class PairSharding:
    """How a stage's pairs are scored by workers.

    Attributes:
        sharding: How the work is cut.
        model: The reranker.
        device: Of the run itself.
        folder: Where shards lie.
        drift_check: How what is stored is watched.
    """

    sharding: Sharding
    model: RerankerReference
    device: str
    folder: SharedFolder
    drift_check: DriftCheckSettings

    def scores(
        self, pairs: Iterable[pa.Table], *, stored: pa.Table | None
    ) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
        """Score pairs by workers.

        Args:
            pairs: Schema PAIRS, a table a shard.
            stored: A sample of what is known, schema PAIRS and its ``stored`` score; None where nothing is.

        Yields:
            Of each shard, as they end, ``text_key`` and ``chunk_hash`` (n,), and the scores, float32 (n,).

        Raises:
            MachineError: A worker does not say again what is stored, or a shard cannot be done.
        """
        self.folder.make()
        sources = [self.folder.write(f"pairs-{number:06d}", table) for number, table in enumerate(pairs)]
        drift_sample = (
            None if stored is None else DriftSample(self.folder.write("pairs-stored", stored), self.drift_check)
        )
        place = self.sharding.place_on(self.device)
        shards = [PairShard(number, source, self.model, place, drift_sample) for number, source in enumerate(sources)]
        with progress("reranking", sum(source.rows for source in sources)) as advance:
            for shard, output in self.sharding.workers.compute(score_shard, shards):
                asked, made = asked_and_made(shard.source, output, keys=KEYS, kind="pairs")
                yield asked.select(KEYS), made.column("score").to_numpy()
                shard.source.remove()
                output.remove()
                advance(shard.source.rows)


@stage_task("rerank shard", task_run_name="rerank {shard.number}", retry=RETRIED)
def score_shard(shard: PairShard) -> SharedFile:
    """Score the pairs of a shard, on whatever machine this runs."""
    pairs = shard.source.read()
    with model_at(shard.place, shard.model, shard.drift_sample, _check) as model:
        scores = np.concatenate([_scores(model, part) for part in slices(pairs, AT_ONCE)])
    scored = pairs.select(KEYS).append_column("score", pa.array(scores, pa.float32()))
    return shard.source.folder.write(f"pairs-{shard.number:06d}-done", scored)


def _check(model: LocalReranker, drift_sample: DriftSample) -> None:
    check_stored_scores(model, drift_sample.file.read(), settings=drift_sample.settings, precision=model.plan.precision)


def check_stored_scores(model: Scorer, stored: pa.Table, *, settings: DriftCheckSettings, precision: str) -> None:
    """Require that a reranker says again what is stored of it.

    Args:
        model: The reranker.
        stored: Schema PAIRS and the ``stored`` score of each.
        settings: The tolerance.
        precision: Of the reranker.

    Raises:
        MachineError: A score differs by more than the tolerance.
    """
    fresh = _scores(model, stored)
    compare_with_stored(
        "pair scores", stored.column("stored").to_numpy(), fresh, settings=settings, precision=precision
    )


def _scores(model: Scorer, pairs: pa.Table) -> NDArray[np.float32]:
    return model.score(
        pairs.column("query").to_pylist(), pairs.column("text").to_pylist(), pairs.column("tokens").to_numpy()
    )


@dataclass(frozen=True, slots=True)
class RerankerReference:
    """A reranker that runs here; the attributes are those of ``EmbedderReference``."""

    settings: RerankerSettings
    base: Path
    precision: str
    fingerprint: str

    def load(self, place: Place, device: str) -> Reranker | OpenvinoReranker:
        """The reranker.

        Raises:
            InputError: It is not there, or the device is not.
            MachineError: This machine has other files under its name.
        """
        settings = self.settings.model_copy(update={"precision": self.precision})
        plan = plan_local(settings, ExecutionSettings(device=device), base=self.base)
        require_same_model(self.settings.model, plan.fingerprint, self.fingerprint)
        kind = OpenvinoReranker if plan.runtime == "openvino" else Reranker
        return kind(plan, batch_tokens=place.batch_tokens, threads=place.threads)
