"""What workers encode is to the bit what a run encodes by itself, and they are held to the model and what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.storage.errors import MachineError
from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.embed.shards import TEXTS
from nightrank.tasks.settings.index import SparseSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.quality import DriftCheckSettings
from nightrank.tasks.sparse.encoder import SparseEncoder, plan_sparse
from nightrank.tasks.sparse.shards import SparseReference, SparseSharding
from nightrank.tasks.workers.cut import Place, Sharding
from nightrank.tasks.workers.seats import forget_models
from tests.support.workers_here import Here
from tests.tasks.sparse.test_encoder import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Models


@pytest.fixture
def encoder(models: Models) -> Iterator[SparseEncoder]:
    settings = SparseSettings(model=str(models.splade))
    yield SparseEncoder(plan_sparse(settings, ExecutionSettings(device="cpu"), base=models.splade), threads=1)
    forget_models()


def sharding_of(
    encoder: SparseEncoder, folder: Path, workers: Here, *, fingerprint: str | None = None
) -> SparseSharding:
    plan = encoder.plan
    model = SparseReference(plan.settings, folder, plan.precision, fingerprint or plan.fingerprint)
    cut = Sharding(workers, Place((), threads=1), texts=4, pairs=1, scores=1)
    return SparseSharding(cut, model, "cpu", FolderOnDisk(folder / "shards"), DriftCheckSettings())


def tables_of(texts: Sequence[str], *, size: int) -> list[pa.Table]:
    keys = [f"key {number}" for number in range(len(texts))]
    table = pa.table([keys, list(texts)], schema=TEXTS)
    return [table.slice(first, size) for first in range(0, len(texts), size)]


def stored_of(vectors: SparseVectors, texts: Sequence[str]) -> pa.Table:
    return vectors.with_keys(pa.array(texts)).rename_columns(["text", "tokens", "weights"])


@pytest.mark.parametrize("kind", ["passages", "queries"])
def test_workers_give_the_vectors_of_a_run_by_itself(encoder: SparseEncoder, tmp_path: Path, kind: Any) -> None:  # noqa: ANN401
    texts, workers = ["", *texts_of(1, 10, longest=30)], Here()
    stored = (
        encoder.encode_passages(texts[:3]).with_keys(pa.array(texts[:3])).rename_columns(["text", "tokens", "weights"])
    )
    found: dict[str, bytes] = {}
    for keys, vectors in sharding_of(encoder, tmp_path, workers).vectors(tables_of(texts, size=4), kind, stored=stored):
        found |= dict(zip(keys, vectors.contents(), strict=True))
    expected = [*encoder.encode_passages(texts).contents()]
    assert workers.shards == 3
    assert [found[f"key {number}"] for number in range(len(texts))] == expected
    assert [path.name for path in (tmp_path / "shards").iterdir() if "stored" not in path.name] == []


def test_a_worker_that_does_not_say_again_what_is_stored_adds_nothing(encoder: SparseEncoder, tmp_path: Path) -> None:
    texts = texts_of(2, 4, longest=30)
    vectors = encoder.encode_passages(texts)
    off = SparseVectors(vectors.bounds, vectors.tokens, vectors.weights + np.float32(0.5))
    stored = stored_of(off, texts)
    with pytest.raises(MachineError, match="stored sparse vectors are not what the model says now"):
        list(sharding_of(encoder, tmp_path, Here()).vectors(tables_of(texts, size=4), "passages", stored=stored))


def test_a_worker_with_other_files_is_refused(encoder: SparseEncoder, tmp_path: Path) -> None:
    cut = sharding_of(encoder, tmp_path, Here(), fingerprint="of other weights")
    with pytest.raises(MachineError, match="other files than where the run was started"):
        list(cut.vectors(tables_of(["a"], size=1), "passages", stored=None))
