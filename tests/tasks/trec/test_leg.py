"""A run of documents as a leg of chunks, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import EXTERNAL_RUN, LEG, QUERIES
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.leg import RunFiltered, RunRead, read_external_run, run_as_leg, run_filtered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Chunk numbers go by document id descending: c has the chunks 0 and 1, b 2, a 3 to 5.
DOCUMENT_OF_CHUNK = pa.array(["c", "c", "b", "a", "a", "a"])


def queries(*ids: Sequence[str]) -> pa.Table:
    rows = [
        {"query_key": f"k{number}", "text": f"t{number}", "count": 1, "query_ids": list(each), "aliases": []}
        for number, each in enumerate(ids)
    ]
    return pa.Table.from_pylist(rows, schema=QUERIES)


def leg(*rows: tuple[int, int, int]) -> pa.Table:
    """Schema LEG from (query number, chunk number, rank)."""
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.array([], int)] * 3
    arrays = [
        pa.array(values, field.type) for values, field in zip([*columns[:2], -columns[2], columns[2]], LEG, strict=True)
    ]
    return pa.table(arrays, schema=LEG)


def run(*rows: tuple[int, str, float]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, EXTERNAL_RUN, strict=True)]
    return pa.table(arrays, schema=EXTERNAL_RUN)


def placed(outside: pa.Table, *, bm25: pa.Table, dense: pa.Table, depth: int = 10) -> list[tuple[int, int, float, int]]:
    table = run_as_leg(outside, {"bm25": bm25, "dense": dense}, DOCUMENT_OF_CHUNK, depth=depth)
    assert table.schema == LEG
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_document_stands_where_our_own_legs_rank_its_best_chunk_else_as_its_first() -> None:
    outside = run((0, "a", 3.0), (0, "b", 2.0), (0, "c", 1.0), (1, "a", 1.0))

    found = placed(outside, bm25=leg((0, 4, 2), (0, 5, 7), (1, 4, 1)), dense=leg((0, 5, 1), (0, 2, 9)))

    # Query 0: of a, chunk 5 has rank 1 and 4 rank 2; c was not found. Query 1 asks its own ranking.
    assert found == [(0, 5, 3.0, 1), (0, 2, 2.0, 2), (0, 0, 1.0, 3), (1, 4, 1.0, 1)]


def test_of_chunks_with_one_rank_the_first_stands_for_the_document() -> None:
    found = placed(run((0, "a", 1.0)), bm25=leg((0, 5, 2)), dense=leg((0, 4, 2)))
    assert found == [(0, 4, 1.0, 1)]


def test_the_runs_scores_decide_and_ties_fall_by_document_id_descending() -> None:
    outside = run((0, "a", 1.0), (0, "b", 1.0), (0, "c", -2.0))
    assert placed(outside, bm25=leg(), dense=leg()) == [(0, 2, 1.0, 1), (0, 3, 1.0, 2), (0, 0, -2.0, 3)]


def test_a_leg_is_as_deep_as_it_is_asked_to_be() -> None:
    outside = run((0, "a", 3.0), (0, "b", 2.0), (1, "c", 1.0))
    assert placed(outside, bm25=leg(), dense=leg(), depth=1) == [(0, 3, 3.0, 1), (1, 0, 1.0, 1)]


def test_a_filter_leaves_documents_out_before_the_leg_is_cut() -> None:
    outside = run((0, "a", 3.0), (0, "b", 2.0), (0, "c", 1.0), (1, "a", 1.0))
    without_a = np.array([True, True, True, False, False, False])

    table = run_as_leg(
        outside,
        {"bm25": leg(), "dense": leg()},
        DOCUMENT_OF_CHUNK,
        depth=2,
        allowed=lambda query: without_a if query == 0 else None,
    )

    assert [tuple(row.values()) for row in table.to_pylist()] == [(0, 2, 2.0, 1), (0, 0, 1.0, 2), (1, 3, 1.0, 1)]


def test_what_filters_leave_out_of_a_run_is_counted_and_told() -> None:
    outside = run((0, "a", 3.0), (0, "b", 2.0), (1, "a", 1.0), (2, "a", 1.0), (3, "b", 1.0), (4, "c", 1.0))
    without_a = np.array([True, True, True, False, False, False])

    found = run_filtered(
        outside, DOCUMENT_OF_CHUNK, name="r.run", allowed=lambda query: None if query == 2 else without_a
    )

    assert found == RunFiltered("r.run", 2, frozenset({1}))
    assert found.warnings() == [
        "Filters leave 2 entries out of r.run; it has no other ones for 1 of the queries: "
        "let its engine filter, or write a longer run."
    ]
    assert RunFiltered("r.run", 0, frozenset()).warnings() == []


def test_a_run_without_entries_is_an_empty_leg() -> None:
    assert placed(run(), bm25=leg((0, 4, 1)), dense=leg()) == []


def read(path: Path, text: str, asked: pa.Table) -> tuple[list[tuple[int, str, float]], RunRead]:
    path.write_text(text, encoding="utf-8")
    table, reported = read_external_run(
        path, name="r.run", leg="bm25", queries=asked, document_ids=pa.array(["a", "b"]), account=Account()
    )
    return [tuple(row.values()) for row in table.to_pylist()], reported


def test_what_the_run_lacks_and_what_the_collection_lacks_is_counted(tmp_path: Path) -> None:
    asked = queries(["q0"], ["q1"], [], ["other", "q3"])
    text = "q3 Q0 b 1 2.5 x\nq0 Q0 a 1 9 x\nq0 Q0 gone 2 8 x\nq9 Q0 a 1 1 x\n"

    rows, reported = read(tmp_path / "r.run", text, asked)

    assert rows == [(0, "a", 9.0), (3, "b", 2.5)]
    assert (reported.queries_missing, reported.documents_unknown) == (2, 1)
    assert reported.warnings(queries=4) == [
        "r.run answers 2 of 4 queries.",
        "r.run has 1 entries of documents not in the collection.",
    ]
    assert RunRead("bm25", "r.run", "", 0, 0).warnings(queries=4) == []


def test_of_a_query_with_several_ids_the_first_that_the_run_answers_counts(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "r.run", "q2 Q0 a 1 1 x\nq1 Q0 b 1 1 x\n", queries(["q0", "q1", "q2"]))
    assert rows == [(0, "b", 1.0)]


def test_the_key_depends_on_the_entries_that_count_and_on_nothing_else(tmp_path: Path) -> None:
    text = "q0 Q0 a 1 9 x\nq0 Q0 b 2 8 x\n"
    asked, path = queries(["q0"]), tmp_path / "r.run"
    key = read(path, text, asked)[1].key

    assert read(path, "q0 Q0 b 7 8.0 y\nq9 Q0 a 1 1 y\nq0 Q0 gone 1 99 y\nq0 Q0 a 1 9 y\n", asked)[1].key == key
    assert read(path, text.replace("8", "8.5"), asked)[1].key != key
    assert read(path, text, queries(["q9"], ["q0"]))[1].key != key


def test_a_run_that_answers_nothing_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="answers no query"):
        read(tmp_path / "r.run", "q9 Q0 a 1 1 x\n", queries(["q0"]))
