"""Ranges scanned by processes of Dask and Ray, of whom one is killed in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from prefect import flow

from nightrank.flows.workers.pool import sharding
from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.tasks.dense.ranges import RangedVectors
from nightrank.tasks.dense.retrieve import DenseQueries
from nightrank.tasks.kernels.top_documents import Documents, RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.ranges import Ranges
from nightrank.tasks.legs.spread import SpreadQueries, SpreadVectors
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.settings.operation import ExecutionSettings
from tests.support.watched_workers import Notes
from tests.tasks.legs.test_lists import hashes_of

if TYPE_CHECKING:
    from pathlib import Path

TEXTS, DIM, QUERIES, DEPTH = 500, 16, 7, 9


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_ranges_by_a_cluster_are_those_of_one_process_also_when_a_worker_is_killed(
    runner: Literal["dask", "ray"], prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(f"prefect_{runner}")
    notes = Notes.of_workers(tmp_path, monkeypatch, kill=True)

    @flow
    def by_workers() -> tuple[bytes, ...]:  # it is sent along with every shard
        shared = FolderOnDisk(tmp_path / "shards")
        with sharding(ExecutionSettings(runner=runner, shard_scores=100 * QUERIES), shared) as cut:
            assert cut is not None
            return found_in(tmp_path, Ranges(cut, "cpu", shared))

    assert by_workers() == found_in(tmp_path, None)
    assert (tmp_path / "killed-scan").exists()
    rows = [int(what) for what, _ in notes.lines("DenseRanges")]
    assert sum(rows) > len(texts_of(chunks())) > max(rows) == 100  # the range of the one that was killed came again
    assert list((tmp_path / "shards").iterdir()) == []


def chunks() -> list[int]:
    """What each chunk says: some say the same, and some texts no chunk says."""
    said: list[int] = np.random.default_rng(3).integers(0, TEXTS, 2 * TEXTS).tolist()
    return said


def texts_of(said: list[int]) -> Texts:
    return Texts.of(hashes_of(said))


def found_in(folder: Path, ranges: Ranges | None) -> tuple[bytes, ...]:
    """What queries find in a collection, whose table is made where it is missing: texts, and documents."""
    generator, place = np.random.default_rng(4), LanceFolder(folder / "lance")
    vectors = generator.integers(-1, 2, (TEXTS, DIM)).astype(np.float32)  # many tie
    vectors[::2] += generator.normal(size=(TEXTS // 2, DIM)).astype(np.float32)
    table = ChunkTable.find(place, embedder="small")
    if table is None:
        table = ChunkTable.create(place, embedder="small", dimensions=DIM)
        table.add(hashes_of([*range(TEXTS)]).to_pylist(), ["x"] * TEXTS, [1] * TEXTS, vectors)
    texts, documents = texts_of(chunks()), Documents(np.arange(2 * TEXTS, dtype=np.int32) // 5, chunks=2)
    queries = DenseQueries(generator.normal(size=(QUERIES, DIM)).astype(np.float32).round(1))
    spread = SpreadVectors(RangedVectors(table), ranges)
    best, of_documents = RunningTopK(QUERIES, DEPTH), RunningTopDocuments(QUERIES, DEPTH, documents, texts=texts)
    everything = spread.everything(texts, queries=QUERIES)
    SpreadQueries(queries, spread).add_best(best, everything, documents=of_documents)
    leg = of_documents.table()
    return tuple(column.tobytes() for column in (*best.entries(), *(column.to_numpy() for column in leg.columns)))
