from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.records import CANDIDATES
from nightrank.storage.serving.cache import Snippet
from nightrank.tasks.rank.results import cut_results, result_entries
from nightrank.tasks.settings.ranking import ResultsSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def candidates(rows: Sequence[tuple[str, str, int, int]]) -> pa.Table:
    """CANDIDATES from (query key, chunk id, rank, fused rank); the hash is "h" and the chunk's document."""
    records = []
    for key, chunk_id, rank, fused_rank in rows:
        document_id = chunk_id.partition("#")[0]
        values = {
            "query_key": key,
            "chunk_id": chunk_id,
            "chunk_hash": f"h{document_id}",
            "document_id": document_id,
            "chunk_number": ord(document_id) - ord("a"),
            "fused_score": 0.0,
            "fused_rank": fused_rank,
            "score": 1.0 / rank,
            "rank": rank,
        }
        records.append(dict.fromkeys(CANDIDATES.names) | values)
    return pa.Table.from_pylist(records, schema=CANDIDATES)


CHUNKS_OF_TWO_QUERIES = [
    ("k2", "a#1", 1, 2),
    ("k2", "a#0", 2, 1),
    ("k2", "b#0", 3, 3),
    ("k2", "c#0", 4, 4),
    ("k1", "a#0", 1, 1),
    ("k1", "b#0", 2, 2),
    ("k1", "b#1", 3, 3),
]


def cut(
    *, candidate_depth: int = 100, depth: int = 10, unit: Literal["document", "chunk"] = "document"
) -> list[tuple[str, str]]:
    table = cut_results(
        candidates(CHUNKS_OF_TWO_QUERIES),
        candidate_depth=candidate_depth,
        settings=ResultsSettings(depth=depth, unit=unit),
        vectors=None,
    )
    return list(zip(table["query_key"].to_pylist(), table["chunk_id"].to_pylist(), strict=True))


def test_a_document_is_one_result_its_best_chunk() -> None:
    assert cut() == [("k2", "a#1"), ("k2", "b#0"), ("k2", "c#0"), ("k1", "a#0"), ("k1", "b#0")]


def test_the_unit_may_be_the_chunk() -> None:
    assert cut(unit="chunk") == [row[:2] for row in CHUNKS_OF_TWO_QUERIES]


def test_depth_counts_results_of_each_query() -> None:
    assert cut(depth=2) == [("k2", "a#1"), ("k2", "b#0"), ("k1", "a#0"), ("k1", "b#0")]
    assert cut(depth=1, unit="chunk") == [("k2", "a#1"), ("k1", "a#0")]


def test_what_lies_below_the_candidates_is_no_result() -> None:
    assert cut(candidate_depth=1) == [("k2", "a#0"), ("k1", "a#0")]


def test_no_candidates_have_no_results() -> None:
    found = cut_results(candidates([]), candidate_depth=10, settings=ResultsSettings(), vectors=None)
    assert found.num_rows == 0


def pointing(chunk_hashes: pa.Array) -> NDArray[np.float32]:
    """Vectors of documents: a and b say the same, c something else, d the opposite of c."""
    directions = {"ha": [1.0, 0.0], "hb": [1.0, 0.0], "hc": [0.0, 1.0], "hd": [0.0, -1.0]}
    return np.array([directions[chunk_hash] for chunk_hash in chunk_hashes.to_pylist()], dtype=np.float32)


RANKED = [("k1", f"{document}#0", rank, rank) for rank, document in enumerate("abcd", start=1)]


def diverse(rows: Sequence[tuple[str, str, int, int]], settings: ResultsSettings) -> list[str]:
    table = cut_results(candidates(rows), candidate_depth=100, settings=settings, vectors=pointing)
    return [chunk_id.partition("#")[0] for chunk_id in table["chunk_id"].to_pylist()]


def test_a_result_that_says_what_one_above_says_stands_below_what_is_new() -> None:
    # Scores 1, 1/2, 1/3, 1/4 scale to 1, 1/3, 1/9, 0. With lambda 0.5: b is worth 1/6 - 1/2, c 1/18, d 0 at first
    # and then 0 + 1/2 * 0, as it points away from c and is at a right angle to a.
    assert diverse(RANKED, ResultsSettings(mmr_lambda=0.5)) == ["a", "c", "d", "b"]
    assert diverse(RANKED, ResultsSettings(mmr_lambda=0.5, depth=2)) == ["a", "c"]
    assert diverse(RANKED, ResultsSettings(mmr_lambda=0.9)) == ["a", "b", "c", "d"]


def test_a_near_duplicate_is_left_out_whatever_the_weight() -> None:
    assert diverse(RANKED, ResultsSettings(near_duplicate=0.95)) == ["a", "c", "d"]
    assert diverse(RANKED, ResultsSettings(near_duplicate=0.95, mmr_lambda=0.9, depth=2)) == ["a", "c"]


def test_diverse_results_come_from_the_pool_which_is_never_shallower_than_the_results() -> None:
    assert diverse(RANKED, ResultsSettings(mmr_lambda=0.5, mmr_pool=2, depth=2)) == ["a", "b"]
    assert diverse(RANKED, ResultsSettings(mmr_lambda=0.5, mmr_pool=1, depth=3)) == ["a", "c", "b"]


def test_chunks_of_a_document_compete_where_the_unit_is_the_chunk() -> None:
    rows = [("k1", "a#0", 1, 1), ("k1", "a#1", 2, 2), ("k1", "c#0", 3, 3)]
    assert diverse(rows, ResultsSettings(near_duplicate=0.95, unit="chunk")) == ["a", "c"]
    assert diverse(rows, ResultsSettings(mmr_lambda=0.5, unit="chunk")) == ["a", "c", "a"]


def test_queries_are_diversified_each_for_itself_however_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*RANKED, ("k0", "b#0", 1, 1), ("k0", "a#0", 2, 2), *[("k2", *row[1:]) for row in RANKED[1:]]]
    expected = ["a", "c", "d", "b", "b", "a", "b", "c", "d"]
    assert diverse(rows, ResultsSettings(mmr_lambda=0.5)) == expected
    monkeypatch.setattr("nightrank.tasks.rank.results.ENTRIES_HELD", 1)
    assert diverse(rows, ResultsSettings(mmr_lambda=0.5)) == expected
    assert diverse([], ResultsSettings(mmr_lambda=0.5)) == []


def test_results_as_they_are_ask_for_no_vector() -> None:
    def none_asked(_: pa.Array) -> NDArray[np.float32]:
        raise AssertionError("a vector was asked for")

    table = candidates(RANKED)
    kept = cut_results(table, candidate_depth=100, settings=ResultsSettings(mmr_pool=2), vectors=none_asked)
    assert kept == table
    with pytest.raises(ValueError, match="need the vectors"):
        cut_results(table, candidate_depth=100, settings=ResultsSettings(mmr_lambda=0.5), vectors=None)


@pytest.fixture
def table(tmp_path: Path) -> ChunkTable:
    made = ChunkTable.create(LanceFolder(tmp_path), embedder="e1", dimensions=1)
    texts = ["Title A\n\nBody a", "Body b"]
    made.add(["ha", "hb"], texts, [4, 2], np.ones((2, 1), dtype=np.float32))
    return made


def described_of(rows: pa.Table, chunks: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(chunks).take(rows.column("chunk_number"))


def first_letter(query_keys: Sequence[str], texts: Sequence[str], languages: Sequence[int]) -> list[Snippet]:
    """As many characters of a text as its language has as its number: proves what a maker of snippets is handed."""
    assert all(text.startswith(("Body", "Title")) for text in texts)
    assert set(query_keys) <= {"k1", "k2"}
    return [Snippet(0, end, cut_start=False, cut_end=False, highlights=()) for end in languages]


def test_entries_have_the_words_of_the_contract_and_the_documents_own_text(table: ChunkTable) -> None:
    described: list[dict[str, object]] = [
        {"title": "Title A", "body_start": 9, "metadata": '{"year": 1999}', "language": 2},
        {"title": "", "body_start": 0, "metadata": "{}", "language": 0},
    ]
    rows = candidates([("k1", "b#0", 1, 1), ("k1", "a#3", 4, 2), ("k2", "a#3", 1, 1)])
    found = result_entries(rows, described_of(rows, described), table, snippets=first_letter)
    b: dict[str, object] = {
        "document_id": "b",
        "chunk_id": "b#0",
        "score": 1.0,
        "title": "",
        "text": "Body b",
        "metadata": {},
    }
    a: dict[str, object] = {
        "document_id": "a",
        "chunk_id": "a#3",
        "title": "Title A",
        "text": "Body a",
        "metadata": {"year": 1999},
    }
    b["snippet"] = Snippet(0, 0, cut_start=False, cut_end=False, highlights=())
    a["snippet"] = Snippet(0, 2, cut_start=False, cut_end=False, highlights=())
    # Ranks count results, whatever the rank among candidates was.
    assert found == {
        "k1": [{"rank": 1, **b}, {"rank": 2, "score": 0.25, **a}],
        "k2": [{"rank": 1, "score": 1.0, **a}],
    }


def test_documents_that_say_the_same_stay_two_results(table: ChunkTable) -> None:
    rows = candidates([("k1", "a#0", 1, 1), ("k1", "b#0", 2, 2)])
    same = rows.set_column(rows.schema.get_field_index("chunk_hash"), "chunk_hash", pa.array(["ha", "ha"]))
    described: list[dict[str, object]] = [
        {"title": "", "body_start": 0, "metadata": "{}", "language": 0},
        {"title": "T", "body_start": 9, "metadata": "{}", "language": 0},
    ]
    found = result_entries(same, described_of(same, described), table, snippets=first_letter)["k1"]
    assert [entry["document_id"] for entry in found] == ["a", "b"]
    assert [entry["text"] for entry in found] == ["Title A\n\nBody a", "Body a"]
