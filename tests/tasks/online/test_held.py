"""A collection in memory lists what the batch lists, ties and all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.lance.held import HeldRows
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.online.held import FIELDS_HELD, HeldStage
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.sparse.retrieve import StoredSparseVectors
from tests.support.bm25_collections import VARIANTS
from tests.support.bm25_files import Placed, build, placed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WORDS = ("tea", "sea", "salt", "sun", "the", "moon", "bread", "дом", "茶")
DOCUMENTS, LONGEST, DIMENSIONS = 23, 6, 3
QUERIES = ("tea", "the sea and the salt", "moon moon bread", "茶 дом", "nothing of that", "sun salt sea tea bread moon")
CONDITIONS = (None, '{"n":1}', '{"n":{"gte":100}}', '{"n":{"gte":2}}')
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"results": {"unit": "chunk"}, "retrieval": {"candidate_depth": 7}},
    {"retrieval": {"candidate_depth": 5, "chunks_per_document": 3}},
    {"retrieval": {"candidate_depth": 4, "fusion": "minmax"}, "bm25": {"variant": "okapi"}},
)


@dataclass(frozen=True, slots=True)
class Both:
    """A collection in its stores, and held."""

    stored: FirstStage
    held: HeldStage
    settings: Settings


def chunks(generator: np.random.Generator) -> list[Placed]:
    """Documents of several chunks, some of which say the same as others."""
    texts = [
        (f"d{document:02}", ordinal, " ".join(generator.choice(WORDS, generator.integers(1, 5))))
        for document in range(DOCUMENTS)
        for ordinal in range(generator.integers(1, LONGEST))
    ]
    return [
        Placed(of.chunk, metadata=json.dumps({"n": int(of.chunk.document_id[1:]) % 4, "deep": {"er": "x"}}))
        for of in placed(texts)
    ]


def settings_of(given: dict[str, Any]) -> Settings:
    legs = {"bm25": "own", "dense": "own", "sparse": "own"}
    whole = {"documents": {"source": "a"}, "queries": {"log": "b"}, "sparse": {"model": "m"}, **given}
    whole["retrieval"] = {"legs": list(legs), **given.get("retrieval", {})}
    return Settings.model_validate(whole)


def sparse_rows(generator: np.random.Generator, count: int) -> SparseVectors:
    """Vectors of few tokens and few weights, so that many products tie; one has none."""
    rows = []
    for number in range(count):
        tokens = np.sort(generator.choice(9, 0 if number == 1 else generator.integers(1, 4), replace=False))
        rows.append((tokens.astype(np.int32), (generator.integers(1, 3, tokens.size) / 2).astype(np.float32)))
    return SparseVectors.of(rows)


@pytest.fixture(scope="module", params=SETTINGS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder, generator = tmp_path_factory.mktemp("collection"), np.random.default_rng(5)
    settings, listed = settings_of(request.param), chunks(generator)
    build(folder / "bm25.duckdb", listed, analyse=Analyser.of(settings.bm25))
    said = {of.chunk.chunk_hash: of.chunk.text for of in listed}
    hashes = ["f" * 32, *said]  # the first is of a text that the release does not have
    table = ChunkTable.create(LanceFolder(folder / "lance"), embedder="e", dimensions=DIMENSIONS)
    for part in np.array_split(np.arange(len(hashes)), 3):
        names = [hashes[place] for place in part]
        vectors = generator.integers(-1, 2, (len(names), DIMENSIONS)).astype(np.float32)
        table.add(names, [said.get(name, "") for name in names], [len(said.get(name, "")) for name in names], vectors)
    memos = folder / "memos"
    memos.mkdir()
    with SparseMemo(memos, "texts", encoder="s") as memo:
        memo.append(hashes, sparse_rows(generator, len(hashes)))
    with (
        Bm25Store.open(folder / "bm25.duckdb") as store,
        SparseMemo(memos, "texts", encoder="s", read_only=True) as memo,
    ):
        sparse = StoredSparseVectors(memo)
        stored = FirstStage.over(store, StoredVectors(table), sparse)
        yield Both(stored, HeldStage.of(store, table, sparse, settings=settings), settings)


def vectors() -> QueryVectors:
    generator = np.random.default_rng(6)
    tokens = [(np.array([0, 2, 5, 77]), np.array([1.0, 0.5, 1.0, 2.0]))] * (len(QUERIES) - 1)
    dense = generator.integers(-1, 2, (len(QUERIES), DIMENSIONS)).astype(np.float32)
    return QueryVectors(dense, SparseVectors.of([*tokens, (np.array([]), np.array([]))]))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_leg_and_their_fusion_are_those_of_the_stores(both: Both, condition: str | None) -> None:
    allowed = both.held.allowed(condition)
    expected = both.stored.allowed(condition)
    assert (allowed is None) == (expected is None)
    assert allowed is None or expected is None or allowed.tolist() == expected.tolist()
    for leg in ("bm25", "dense", "sparse"):
        lists = [
            stage.leg(leg, QUERIES, vectors(), allowed, settings=both.settings) for stage in (both.held, both.stored)
        ]
        assert lists[0].equals(lists[1]), leg
        assert (lists[0].num_rows > 0) == (allowed is None or bool(allowed.any()))
    fused = [stage.fused(QUERIES, vectors(), allowed, settings=both.settings) for stage in (both.held, both.stored)]
    assert fused[0].equals(fused[1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_formula_weighs_postings_as_the_batch_does(both: Both, variant: str) -> None:
    bm25 = both.settings.bm25.model_copy(update={"variant": variant, "k1": 0.9, "b": 0.3})
    settings = both.settings.model_copy(update={"bm25": bm25})
    postings = type(both.held.postings).of(both.stored.store, both.held.statistics, bm25)
    documents = both.stored.documents(settings)
    held = postings.leg(QUERIES, settings=bm25, depth=5, documents=documents, allowed=None)
    assert held.equals(both.stored.bm25(QUERIES, settings=settings, depth=5))


def test_chunks_texts_and_documents_are_found_in_memory(both: Both) -> None:
    numbers = np.array([3, 0, 3, 11], np.int32)
    columns = ("chunk_id", "title", "metadata", "body_start")
    assert both.held.statistics.chunks_at(numbers, columns).equals(both.stored.store.chunks_at(numbers, columns))
    hashes = both.stored.store.chunks_at(numbers, ["chunk_hash"]).column(0).combine_chunks().unique()
    rows = both.held.rows.rows(pa.concat_arrays([hashes, pa.array(["f" * 32])]), ["text", "tokens", "vector"])
    assert rows.column("chunk_hash").to_pylist() == hashes.to_pylist()
    for row in rows.to_pylist():
        assert row["tokens"] == len(row["text"])
    listed = both.stored.store.chunks(["document_id"]).column(0).to_pylist()
    for document in {*listed, "", "d", "d99", "zzz"}:
        found = both.held.statistics.document(document)
        assert [number for number, of in enumerate(listed) if of == document] == list(found)


def test_a_filter_that_cannot_be_applied_says_why_and_many_fields_take_no_more_memory(both: Both) -> None:
    with pytest.raises(InputError, match="no document has the field 'colour'"):
        both.held.allowed('{"colour":"red"}')
    with pytest.raises(InputError, match="holds numbers"):
        both.held.allowed('{"n":"one"}')
    for number in range(2 * FIELDS_HELD):
        with pytest.raises(InputError):
            both.held.allowed(f'{{"field{number}":1}}')
    deep = both.held.allowed('{"deep.er":"x"}')
    assert deep is not None
    assert deep.all()


def test_what_is_held_is_counted(both: Both) -> None:
    assert both.held.size_bytes > both.held.rows.vectors.nbytes > 0


def test_a_table_that_lacks_a_text_is_told(both: Both) -> None:
    def numbers_of(hashes: pa.ChunkedArray | pa.Array) -> NDArray[np.int32]:
        return np.full(len(hashes), -1, np.int32)

    table = both.stored.vectors
    assert isinstance(table, StoredVectors)
    with pytest.raises(MachineError, match="lacks 2 of the release's 2 texts"):
        HeldRows.of(table.table, numbers_of=numbers_of, count=2)
