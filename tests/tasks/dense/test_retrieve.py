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
from nightrank.storage.records import LEG
from nightrank.tasks.dense import retrieve as module
from nightrank.tasks.dense import scan
from nightrank.tasks.dense.retrieve import retrieve_dense
from nightrank.tasks.kernels.loops import inner_product
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.legs.texts import Texts
from tests.support.legs_by_loop import cut_by_loop, documents_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def hash_of(text: int) -> str:
    return f"{text:032x}"


def table_of(folder: Path, vectors: NDArray[np.float32]) -> ChunkTable:
    """A table whose text i has the hash ``hash_of(i)`` and the vector ``vectors[i]``."""
    table = ChunkTable.create(LanceFolder(folder), embedder="e1", dimensions=vectors.shape[1])
    for rows in np.array_split(np.arange(len(vectors)), 3):
        names = [hash_of(row) for row in rows]
        table.add(names, names, [1] * len(names), vectors[rows])
    return table


def hashes_of(texts: list[int]) -> pa.ChunkedArray:
    blocks = [[hash_of(text) for text in part] for part in (texts[:2], texts[2:])]
    return pa.chunked_array(blocks, pa.string())


def retrieve(queries: NDArray[np.float32], table: ChunkTable, texts: list[int], *, depth: int) -> pa.Table:
    collection = Texts.of(hashes_of(texts))
    blocks = module.StoredVectors(table).everything(collection, queries=len(queries))
    return retrieve_dense(queries, blocks, collection, depth=depth)


def documents_found(seed: int, *, depth: int) -> tuple[pa.Table, pa.Table, Documents]:
    """A leg of documents, the whole rankings, and the documents, of random vectors many of which tie."""
    generator = np.random.default_rng(seed)
    vectors = generator.integers(-1, 2, (40, 3)).astype(np.float32)
    said = [*range(40), *generator.integers(0, 40, 30).tolist()]
    texts, documents = Texts.of(hashes_of(said)), Documents(documents_of(70, generator), chunks=2)
    queries = generator.integers(-1, 2, (5, 3)).astype(np.float32)
    blocks = [(texts.numbers_of(hashes_of([*part])), vectors[part]) for part in np.array_split(np.arange(40), 3)]
    leg = retrieve_dense(queries, blocks, texts, depth=depth, documents=documents)
    return leg, retrieve_dense(queries, blocks, texts, depth=70), documents


@pytest.mark.parametrize("depth", [1, 4, 100])
@pytest.mark.parametrize("seed", range(5))
def test_documents_are_found_by_their_best_chunks(seed: int, depth: int) -> None:
    leg, whole, documents = documents_found(seed, depth=depth)
    assert rows_of(leg) == cut_by_loop(whole, documents, depth=depth)


def by_loop(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], texts: list[int], *, depth: int
) -> list[tuple[int, int, float, int]]:
    rows = []
    for number, query in enumerate(queries):
        scores = [float(np.float32(query.astype(np.float64) @ vectors[text].astype(np.float64))) for text in texts]
        best = sorted(range(len(texts)), key=lambda chunk: (-scores[chunk], chunk))[:depth]
        rows += [(number, chunk, scores[chunk], rank) for rank, chunk in enumerate(best, start=1)]
    return rows


def rows_of(leg: pa.Table) -> list[tuple[int, int, float, int]]:
    assert leg.schema == LEG
    return list(zip(*(column.to_pylist() for column in leg.columns), strict=True))


@pytest.mark.parametrize("depth", [1, 5, 200])
@pytest.mark.parametrize("scores_held", [1, 16_000_000])
def test_the_leg_is_what_brute_force_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int, scores_held: int
) -> None:
    # Small whole numbers, so that scores are exact and many tie; texts 0 to 19 are of this release, some of
    # them in several documents; 20 to 29 are of another.
    generator = np.random.default_rng(depth)
    vectors = generator.integers(-2, 3, (30, 4)).astype(np.float32)
    queries = generator.integers(-2, 3, (6, 4)).astype(np.float32)
    texts = [*generator.integers(0, 20, 60).tolist()]
    monkeypatch.setattr(module, "SCORES_HELD", scores_held)
    leg = retrieve(queries, table_of(tmp_path, vectors), texts, depth=depth)
    assert rows_of(leg) == by_loop(queries, vectors, texts, depth=depth)


def test_real_valued_scores_agree_with_brute_force(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    vectors, queries = (generator.standard_normal((count, 16)).astype(np.float32) for count in (300, 5))
    texts = [*range(300)]
    found = rows_of(retrieve(queries, table_of(tmp_path, vectors), texts, depth=10))
    expected = by_loop(queries, vectors, texts, depth=10)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    np.testing.assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-5)


def test_chunks_that_say_the_same_share_a_score_and_stay_apart(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
    query = np.array([[1, 0.5]], dtype=np.float32)
    leg = retrieve(query, table_of(tmp_path, vectors), [1, 0, 1, 0], depth=3)
    assert rows_of(leg) == [(0, 1, 1.0, 1), (0, 3, 1.0, 2), (0, 0, 0.5, 3)]


def test_a_text_that_stands_everywhere_takes_no_more_room_than_the_results(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
    leg = retrieve(vectors, table_of(tmp_path, vectors), [1, 0] + [1] * 998, depth=4)
    assert leg["chunk_number"].to_pylist() == [1, 0, 2, 3, 0, 2, 3, 4]


@pytest.mark.parametrize("dimensions", [1, 7, 8, 64, 384, 389])
def test_a_score_is_to_the_bit_what_einsum_makes_of_two_vectors(dimensions: int) -> None:
    generator = np.random.default_rng(dimensions)
    left, right = (generator.standard_normal((500, dimensions)).astype(np.float32) for _ in range(2))
    expected = np.einsum("nd,nd->n", left.astype(np.float64), right.astype(np.float64)).astype(np.float32)
    found = [inner_product(*pair) for pair in zip(left, right, strict=True)]
    assert found == expected.tolist()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_nothing_is_lost_to_the_rounding_of_the_first_pass(seed: int) -> None:
    # Vectors so alike that single precision cannot tell them apart: what it says only prunes.
    generator = np.random.default_rng(seed)
    base = generator.standard_normal(64)
    noise = 1e-7 * generator.standard_normal((80, 64))
    vectors, queries = (base + noise).astype(np.float32), generator.standard_normal((3, 64)).astype(np.float32)
    texts = [*range(80)]
    collection = Texts.of(hashes_of(texts))
    blocks = ((np.arange(first, first + 8, dtype=np.int32), vectors[first : first + 8]) for first in range(0, 80, 8))
    leg = retrieve_dense(queries, blocks, collection, depth=7)
    assert rows_of(leg) == by_loop(queries, vectors, texts, depth=7)


def test_rows_of_other_releases_alone_give_no_results(tmp_path: Path) -> None:
    table = table_of(tmp_path, np.eye(3, dtype=np.float32))
    queries = np.ones((2, 3), dtype=np.float32)
    assert retrieve(queries, table, [7, 8, 9], depth=5).num_rows == 0
    assert retrieve(queries, table, [], depth=5).num_rows == 0
    assert retrieve(queries[:0], table, [0], depth=5).num_rows == 0


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    vectors = np.array([[1.0, 0.0], [np.nan, 1.0]], dtype=np.float32)
    texts = Texts.of(hashes_of([0, 1]))
    with pytest.raises(MachineError, match="not a number"):
        retrieve_dense(vectors[:1], [(np.arange(2, dtype=np.int32), vectors)], texts, depth=1)


@pytest.mark.parametrize("queries_held", [1, 3, 2048])
def test_blocks_of_queries_do_not_matter(monkeypatch: pytest.MonkeyPatch, queries_held: int) -> None:
    monkeypatch.setattr(scan, "QUERIES_HELD", queries_held)
    monkeypatch.setattr(scan, "QUERIES_AT_ONCE", 2)
    generator = np.random.default_rng(11)
    vectors, queries = (generator.integers(-2, 3, (count, 4)).astype(np.float32) for count in (150, 7))
    blocks = ((np.arange(first, first + 50, dtype=np.int32), vectors[first : first + 50]) for first in (100, 0, 50))
    leg = retrieve_dense(queries, blocks, Texts.of(hashes_of([*range(150)])), depth=9)
    assert rows_of(leg) == by_loop(queries, vectors, [*range(150)], depth=9)
