"""What workers find range by range is, to the bit, what one process finds: legs, lists, and who met the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.errors import MachineError
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.tasks.dense.ranges import RangedVectors
from nightrank.tasks.dense.retrieve import DenseQueries
from nightrank.tasks.kernels.top_documents import BYTES_HELD, Documents
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs import filtered
from nightrank.tasks.legs.spread import SpreadVectors
from nightrank.tasks.legs.texts import Texts
from tests.support.legs_by_loop import documents_of
from tests.support.workers_here import Here, ranges_here
from tests.tasks.legs.test_filtered import CONDITIONS, History
from tests.tasks.legs.test_lists import DIM, hash_of, hashes_of, vector_of

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.dense.scan import Block
    from tests.tasks.legs.test_filtered import Chunk, Query

MOST = 40  # texts that there are


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ChunkTable:
    """The vectors of all texts, in several commits and in no order of their numbers."""
    made = ChunkTable.create(LanceFolder(tmp_path_factory.mktemp("lance")), embedder="small", dimensions=DIM)
    order = np.random.default_rng(7).permutation(MOST).tolist()
    for first in range(0, MOST, 13):
        part = order[first : first + 13]
        made.add(
            [hash_of(text) for text in part], ["x"] * len(part), [1] * len(part), np.stack([*map(vector_of, part)])
        )
    return made


@pytest.mark.long
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, MOST - 1), st.integers(0, 3)), max_size=40),
            st.lists(
                st.tuples(st.integers(100, 105), st.sampled_from([None, None, *CONDITIONS])),
                min_size=1,
                max_size=6,
                unique=True,
            ),
        ),
        min_size=1,
        max_size=3,
    ),
    depth=st.integers(1, 6),
    slack=st.integers(0, 3),
    chunks_a_document=st.none() | st.integers(1, 3),
    scores=st.integers(12, 80),
    queries_at_once=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_any_history_by_workers_is_that_of_one_process(
    table: ChunkTable,
    tmp_path_factory: pytest.TempPathFactory,
    nights: list[tuple[list[Chunk], list[Query]]],
    depth: int,
    slack: int,
    chunks_a_document: int | None,
    scores: int,
    queries_at_once: int,
    seed: int,
) -> None:
    alone, spread, generator = History(), History(), np.random.default_rng(seed)
    folder, vectors = tmp_path_factory.mktemp("shards"), RangedVectors(table)
    by_workers = SpreadVectors(vectors, ranges_here(folder, Here(), scores=scores))
    for chunks, asked in nights:
        documents = None
        if chunks_a_document is not None:
            documents = Documents(documents_of(len(chunks), generator), chunks_a_document)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(filtered, "_bytes_each", lambda *_: BYTES_HELD // queries_at_once)
            expected = alone.night(
                chunks, asked, SpreadVectors(vectors, None), depth=depth, slack=slack, documents=documents
            )
            found = spread.night(chunks, asked, by_workers, depth=depth, slack=slack, documents=documents)
        assert found.leg.equals(expected.leg)
        assert found.scanned == expected.scanned
        assert spread.lists == alone.lists
    assert list(folder.iterdir()) == []


def test_only_work_of_more_than_one_shard_is_sent(table: ChunkTable, tmp_path: Path) -> None:
    chunks: list[Chunk] = [(text, 0) for text in range(30)]
    asked: list[Query] = [(100, None), (101, None)]
    for scores, shards in ((60, 0), (59, 2), (20, 3), (1, 30)):
        workers = Here()
        by_workers: SpreadVectors[Block] = SpreadVectors(
            RangedVectors(table), ranges_here(tmp_path, workers, scores=scores)
        )
        assert History().night(chunks, asked, by_workers, depth=3, slack=2).scanned == 2
        assert workers.shards == shards


def test_a_delta_is_cut_as_a_scan_is(table: ChunkTable, tmp_path: Path) -> None:
    chunks: list[Chunk] = [(text, 0) for text in range(30)]
    asked: list[Query] = [(100, None), (101, None)]
    workers, history = Here(), History()
    by_workers: SpreadVectors[Block] = SpreadVectors(RangedVectors(table), ranges_here(tmp_path, workers, scores=8))
    history.night(chunks[:20], asked, by_workers, depth=3, slack=20)
    workers.shards = 0

    night = history.night(chunks, asked, by_workers, depth=3, slack=20)

    assert night.scanned == 0
    assert workers.shards == 3  # ten texts, four at a time


def test_a_worker_that_does_not_find_a_text_is_no_silent_loss(table: ChunkTable, tmp_path: Path) -> None:
    vectors, ranges = RangedVectors(table), ranges_here(tmp_path, Here(), scores=1)
    texts = Texts.of(hashes_of([*range(9)]))
    placed = vectors.placed(texts, None)
    moved = placed.set_column(1, "place", pa.array(placed.column("place").to_numpy()[::-1]))
    with pytest.raises(MachineError, match="lacks 1 of 1 rows where the run has seen them"):
        ranges.add_best(
            vectors.range_scan(ranges.folder),
            DenseQueries(np.stack([vector_of(100)])).table(),
            moved,
            RunningTopK(1, 3),
            None,
            texts=texts,
        )
