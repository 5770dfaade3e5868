from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import storage.paired_rankings
from storage.duck import connect
from storage.paired_rankings import RankingPair, former_rankings, paired_rankings
from storage.search_cache import FORMS, RESULTS, SearchCache, write_search_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from storage.records import JsonValue


def cache(
    path: Path,
    rankings: Mapping[str, Sequence[str]],
    *,
    metadata: JsonValue = None,
    forms: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    rows = [
        json.dumps(
            [
                {"rank": rank, "text": "[]\"'", "metadata": metadata, "document_id": document_id, "chunk_id": "x"}
                for rank, document_id in enumerate(ids, 1)
            ],
            ensure_ascii=False,
        )
        for ids in rankings.values()
    ]
    blocks = [pa.table([[*rankings], [*rankings], rows], schema=RESULTS)]
    write_search_cache(path, blocks, forms=pa.table([[*forms], [*forms.values()]], schema=FORMS))
    return path


def test_every_query_of_the_new_release_comes_once_by_its_key_with_both_rankings(tmp_path: Path) -> None:
    before = cache(tmp_path / "before.duckdb", {"b": ["1", "2"], "gone": ["3"], "a": []})
    after = cache(tmp_path / "after.duckdb", {"new": ["1"], "b": ["2", "1"], "a": ["4"]})
    assert list(paired_rankings(before, after)) == [
        RankingPair("a", [], ["4"]),
        RankingPair("b", ["1", "2"], ["2", "1"]),
        RankingPair("new", None, ["1"]),
    ]


def test_a_query_that_was_a_form_of_another_got_that_ones_results(tmp_path: Path) -> None:
    before = cache(tmp_path / "before.duckdb", {"what is tea": ["1"]}, forms={"what is tea?": "what is tea"})
    after = cache(tmp_path / "after.duckdb", {"what is tea?": ["2"]}, forms={"what is tea": "what is tea?"})
    assert list(paired_rankings(before, after)) == [RankingPair("what is tea?", ["1"], ["2"])]


def test_a_release_from_before_there_were_forms_can_be_compared(tmp_path: Path) -> None:
    before = cache(tmp_path / "before.duckdb", {"a": ["1"]})
    with connect(before) as connection:
        connection.execute("DROP TABLE forms")
    after = cache(tmp_path / "after.duckdb", {"a": ["2"]})
    assert list(paired_rankings(before, after)) == [RankingPair("a", ["1"], ["2"])]


def test_every_query_of_the_release_before_comes_with_what_it_would_get_and_with_none_where_it_is_lost(
    tmp_path: Path,
) -> None:
    before = cache(tmp_path / "before.duckdb", {"b": ["1"], "gone": ["3"], "a?": ["2", "2"]}, forms={"c": "b"})
    after = cache(tmp_path / "after.duckdb", {"new": ["1"], "b": [], "a": ["4"]}, forms={"a?": "a"})
    assert list(former_rankings(before, after)) == [
        RankingPair("a?", ["2"], ["4"]),
        RankingPair("b", ["1"], []),
        RankingPair("gone", ["3"], None),
    ]


def test_without_a_release_before_there_is_nothing_beside(tmp_path: Path) -> None:
    after = cache(tmp_path / "after.duckdb", {"b": ["1"], "a": []})
    assert list(paired_rankings(None, after)) == [RankingPair("a", None, []), RankingPair("b", None, ["1"])]


def test_a_document_with_several_chunks_stands_where_its_best_one_stands(tmp_path: Path) -> None:
    after = cache(tmp_path / "after.duckdb", {"a": ["2", "1", "2", "3", "1"]})
    assert [pair.after for pair in paired_rankings(None, after)] == [["2", "1", "3"]]


@pytest.mark.parametrize("document_id", ["'; DROP TABLE results; --", '"', "\\", "$[*]", "ü/ß#0", "[1]", "null"])
def test_an_id_is_read_as_it_was_written(tmp_path: Path, document_id: str) -> None:
    metadata: JsonValue = {"document_id": "not me", "big": 10**30, "nul": "\x00", "deep": [{"document_id": 1}]}
    path = cache(tmp_path / "after.duckdb", {"a": [document_id]}, metadata=metadata)
    assert list(paired_rankings(path, path)) == [RankingPair("a", [document_id], [document_id])]


def test_blocks_leave_no_query_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.paired_rankings, "BLOCK_QUERIES", 3)
    rankings = {f"{number:03}": [str(number)] for number in range(100)}
    path = cache(tmp_path / "after.duckdb", rankings)
    assert [(pair.query_key, pair.after) for pair in paired_rankings(path, path)] == list(rankings.items())


def test_a_cache_that_somebody_reads_can_be_compared(tmp_path: Path) -> None:
    path = cache(tmp_path / "before's.duckdb", {"a": ["1"]})
    with SearchCache(path, release_id="r1"):
        assert len(list(paired_rankings(path, path))) == 1
