"""The sparse leg is what a plain sum over shared tokens gives, however texts are cut and whatever else is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse as sp

from nightrank.storage.errors import MachineError
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
from nightrank.storage.records import LEG
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.sparse import retrieve as module
from nightrank.tasks.sparse.retrieve import SparseQueries, StoredSparseVectors, retrieve_sparse
from tests.support.legs_by_loop import cut_by_loop, documents_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nightrank.tasks.sparse.retrieve import SparseBlock

Row = dict[int, float]


def vectors_of(rows: Sequence[Row]) -> SparseVectors:
    return SparseVectors.of([(np.array([*row], np.int32), np.array([*row.values()], np.float32)) for row in rows])


def random_rows(generator: np.random.Generator, count: int, *, vocabulary: int, whole: bool) -> list[Row]:
    """Vectors of up to 12 entries; whole weights tie often."""
    rows = []
    for _ in range(count):
        tokens = np.sort(generator.choice(vocabulary, generator.integers(0, 12), replace=False))
        weights = generator.integers(1, 4, tokens.size) if whole else generator.exponential(1.0, tokens.size) + 0.01
        rows.append(dict(zip(tokens.tolist(), weights.astype(np.float32).tolist(), strict=True)))
    return rows


def score(query: Row, text: Row) -> float | None:
    """The sum over shared tokens, ascending, in double precision, rounded once; None where they share none."""
    shared = sorted(query.keys() & text.keys())
    total = 0.0
    for token in shared:
        total += query[token] * text[token]
    return float(np.float32(total)) if shared else None


def by_loop(queries: Sequence[Row], said: Sequence[Row], *, depth: int) -> list[tuple[int, int, float, int]]:
    found = []
    for number, query in enumerate(queries):
        scores = {chunk: own for chunk, text in enumerate(said) if (own := score(query, text)) is not None}
        best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:depth]
        found += [(number, chunk, scores[chunk], rank) for rank, chunk in enumerate(best, start=1)]
    return found


def hashes_of(texts: Sequence[int]) -> pa.Array:
    return pa.array([f"{text:032x}" for text in texts], pa.string())


def blocks_of(texts: Texts, rows: Sequence[Row], *, size: int) -> Iterator[SparseBlock]:
    """All texts backwards, so many at a time."""
    backwards = [*range(len(rows))][::-1]
    for first in range(0, len(rows), size):
        part = backwards[first : first + size]
        yield texts.numbers_of(hashes_of(part)), vectors_of([rows[text] for text in part])


def rows_of(leg: pa.Table) -> list[tuple[int, int, float, int]]:
    assert leg.schema == LEG
    return list(zip(*(column.to_pylist() for column in leg.columns), strict=True))


@pytest.mark.parametrize("depth", [1, 5, 200])
@pytest.mark.parametrize("texts_at_once", [1, 7, 16_384])
@pytest.mark.parametrize("whole", [True, False])
def test_the_leg_is_what_brute_force_finds(
    monkeypatch: pytest.MonkeyPatch, depth: int, texts_at_once: int, whole: bool
) -> None:
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", texts_at_once)
    monkeypatch.setattr("nightrank.tasks.kernels.postings.QUERIES_AT_ONCE", 3)
    generator = np.random.default_rng(depth)
    rows = random_rows(generator, 40, vocabulary=50, whole=whole)
    queries = random_rows(generator, 8, vocabulary=70, whole=whole)  # tokens that no text has, too
    chunks = [*range(40), *generator.integers(0, 40, 30).tolist()]
    texts = Texts.of(hashes_of(chunks))
    leg = retrieve_sparse(vectors_of(queries), blocks_of(texts, rows, size=9), texts, depth=depth)
    assert rows_of(leg) == by_loop(queries, [rows[text] for text in chunks], depth=depth)


@pytest.mark.parametrize("depth", [1, 5, 200])
def test_documents_are_found_by_their_best_chunks(depth: int) -> None:
    generator = np.random.default_rng(depth)
    rows, queries = (random_rows(generator, count, vocabulary=50, whole=True) for count in (40, 8))
    texts = Texts.of(hashes_of([*range(40), *generator.integers(0, 40, 30).tolist()]))
    documents = Documents(documents_of(70, generator), chunks=2)
    whole = retrieve_sparse(vectors_of(queries), blocks_of(texts, rows, size=9), texts, depth=70)
    leg = retrieve_sparse(vectors_of(queries), blocks_of(texts, rows, size=9), texts, depth=depth, documents=documents)
    assert rows_of(leg) == cut_by_loop(whole, documents, depth=depth)


def test_scores_agree_with_the_sparse_product_of_scipy() -> None:
    generator = np.random.default_rng(3)
    rows, queries = (random_rows(generator, count, vocabulary=300, whole=False) for count in (500, 20))
    texts = Texts.of(hashes_of([*range(500)]))
    leg = retrieve_sparse(vectors_of(queries), blocks_of(texts, rows, size=100), texts, depth=500)
    matrices = [
        sp.csr_matrix((part.weights.astype(np.float64), part.tokens, part.bounds), shape=(len(part), 300))
        for part in (vectors_of(queries), vectors_of(rows))
    ]
    product = (matrices[0] @ matrices[1].T).tocoo()
    assert leg.num_rows == product.nnz
    dense = product.toarray()
    found = [dense[query, chunk] for query, chunk, _, _ in rows_of(leg)]
    np.testing.assert_allclose(leg["score"].to_numpy(), found, rtol=1e-6)


def test_a_text_without_a_shared_token_is_no_result() -> None:
    rows: list[Row] = [{1: 1.0}, {}, {2: 0.5, 3: 1.0}]
    texts = Texts.of(hashes_of([0, 1, 2, 0]))
    leg = retrieve_sparse(vectors_of([{1: 2.0}, {}, {9: 1.0}]), blocks_of(texts, rows, size=2), texts, depth=4)
    assert rows_of(leg) == [(0, 0, 2.0, 1), (0, 3, 2.0, 2)]


@pytest.mark.parametrize("is_last", [False, True])
def test_sums_go_through_the_tokens_in_ascending_order_and_are_rounded_once(is_last: bool) -> None:
    # 1 + 2^-24 lies between two numbers of single precision; 2^-53 is lost beside it, and two of them together are not.
    large, small = {3: 1.0, 4: 2.0**-24}, 2.0**-53
    query: Row = dict.fromkeys((1, 2, 3, 4) if is_last else (3, 4, 5, 6), 1.0)
    text: Row = {1: small, 2: small, **large} if is_last else {**large, 5: small, 6: small}
    texts = Texts.of(hashes_of([0]))
    leg = retrieve_sparse(vectors_of([query]), blocks_of(texts, [text], size=1), texts, depth=1)
    assert leg["score"].to_pylist() == [1.0 + 2.0**-23 if is_last else 1.0]


def test_no_queries_and_no_texts_give_no_results() -> None:
    texts = Texts.of(hashes_of([0]))
    assert retrieve_sparse(vectors_of([]), blocks_of(texts, [{1: 1.0}], size=1), texts, depth=3).num_rows == 0
    nothing = Texts.of(hashes_of([]))
    assert retrieve_sparse(vectors_of([{1: 1.0}]), iter([]), nothing, depth=3).num_rows == 0


def test_stored_vectors_are_those_of_the_collection_alone_and_a_lack_is_told(tmp_path: Path) -> None:
    rows: list[Row] = [{1: 1.0}, {1: 3.0}, {1: 2.0, 4: 1.0}]
    with SparseMemo(tmp_path, "texts", encoder="e1") as memo:
        memo.append(hashes_of([0, 1, 2]).to_pylist(), vectors_of(rows))
        stored, texts = StoredSparseVectors(memo), Texts.of(hashes_of([2, 0]))  # 1 is of another release
        query = vectors_of([{1: 1.0}])
        leg = retrieve_sparse(query, stored.everything(texts, queries=1), texts, depth=5)
        assert rows_of(leg) == [(0, 0, 2.0, 1), (0, 1, 1.0, 2)]
        leg = retrieve_sparse(query, stored.some(texts, hashes_of([0]), queries=1), texts, depth=5)
        assert rows_of(leg) == [(0, 1, 1.0, 1)]
        with pytest.raises(MachineError, match="lacks 1 of 2 texts"):
            [*stored.some(Texts.of(hashes_of([0, 7])), hashes_of([0, 7]), queries=1)]


def test_queries_know_some_of_themselves() -> None:
    queries = SparseQueries(vectors_of([{1: 1.0}, {2: 2.0, 5: 0.5}, {}]))
    some = queries.only(np.array([2, 1]))
    assert len(some) == 2
    assert [*some.contents()] == [[*queries.contents()][number] for number in (2, 1)]
