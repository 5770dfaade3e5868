from __future__ import annotations

import json
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.release.compare import RankingPair, former_rankings, paired_rankings
from nightrank.storage.release.results.file import ResultsFile, write_results_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.compare import OpenAnswers


def cache(
    path: Path,
    rankings: Mapping[str, Sequence[str]],
    *,
    metadata: JsonValue = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
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
    write_results_file(path, zip(rankings, rankings, rows, strict=True), aliases=aliases.items())
    return path


def opening(path: Path) -> OpenAnswers:
    return partial(ResultsFile, path)


def test_every_query_of_the_new_release_comes_once_by_its_key_with_both_rankings(tmp_path: Path) -> None:
    before = cache(tmp_path / "before.sqlite", {"b": ["1", "2"], "gone": ["3"], "a": []})
    after = cache(tmp_path / "after.sqlite", {"new": ["1"], "b": ["2", "1"], "a": ["4"]})
    assert list(paired_rankings(opening(before), after)) == [
        RankingPair("a", [], ["4"]),
        RankingPair("b", ["1", "2"], ["2", "1"]),
        RankingPair("new", None, ["1"]),
    ]


def test_a_query_that_was_a_form_of_another_got_that_ones_results(tmp_path: Path) -> None:
    before = cache(tmp_path / "before.sqlite", {"what is tea": ["1"]}, aliases={"what is tea?": "what is tea"})
    after = cache(tmp_path / "after.sqlite", {"what is tea?": ["2"]}, aliases={"what is tea": "what is tea?"})
    assert list(paired_rankings(opening(before), after)) == [RankingPair("what is tea?", ["1"], ["2"])]


def test_every_query_of_the_release_before_comes_with_what_it_would_get_and_with_none_where_it_is_lost(
    tmp_path: Path,
) -> None:
    before = cache(tmp_path / "before.sqlite", {"b": ["1"], "gone": ["3"], "a?": ["2", "2"]}, aliases={"c": "b"})
    after = cache(tmp_path / "after.sqlite", {"new": ["1"], "b": [], "a": ["4"]}, aliases={"a?": "a"})
    assert list(former_rankings(opening(before), after)) == [
        RankingPair("a?", ["2"], ["4"]),
        RankingPair("b", ["1"], []),
        RankingPair("gone", ["3"], None),
    ]


def test_without_a_release_before_there_is_nothing_beside(tmp_path: Path) -> None:
    after = cache(tmp_path / "after.sqlite", {"b": ["1"], "a": []})
    assert list(paired_rankings(None, after)) == [RankingPair("a", None, []), RankingPair("b", None, ["1"])]


def test_a_document_with_several_chunks_stands_where_its_best_one_stands(tmp_path: Path) -> None:
    after = cache(tmp_path / "after.sqlite", {"a": ["2", "1", "2", "3", "1"]})
    assert [pair.after for pair in paired_rankings(None, after)] == [["2", "1", "3"]]


@pytest.mark.parametrize("document_id", ["'; DROP TABLE results; --", '"', "\\", "$[*]", "ü/ß#0", "[1]", "null"])
def test_an_id_is_read_as_it_was_written(tmp_path: Path, document_id: str) -> None:
    metadata: JsonValue = {"document_id": "not me", "big": 10**30, "nul": "\x00", "deep": [{"document_id": 1}]}
    path = cache(tmp_path / "after.sqlite", {"a": [document_id]}, metadata=metadata)
    assert list(paired_rankings(opening(path), path)) == [RankingPair("a", [document_id], [document_id])]


def test_no_query_is_left_out(tmp_path: Path) -> None:
    rankings = {f"{number:03}": [str(number)] for number in range(100)}
    path = cache(tmp_path / "after.sqlite", rankings)
    assert [(pair.query_key, pair.after) for pair in paired_rankings(opening(path), path)] == list(rankings.items())


def test_a_cache_that_somebody_reads_can_be_compared(tmp_path: Path) -> None:
    path = cache(tmp_path / "before's?#%20.sqlite", {"a": ["1"]})
    with ResultsFile(path):
        assert len(list(paired_rankings(opening(path), path))) == 1
