"""Nothing that evaluation reads is part of a source, and nothing that is held out is learnt from."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from recipes.packaged_reranker.held_out import Evaluated, hold_out, prepare
from recipes.packaged_reranker.recipe import Source
from recipes.packaged_reranker.runs import runs_of
from tests.recipes.packaged_reranker.test_sources import write_folder, write_pairs

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = Evaluated(frozenset(), {})


def long(word: str) -> str:
    return " ".join(f"{word}{number}" for number in range(14))


def rows(*names: str) -> list[dict[str, str]]:
    return [{"query": f"what is {name}", "text": long(name), "title": name} for name in names]


def test_what_shares_a_run_with_a_collection_to_measure_on_is_gone(tmp_path: Path) -> None:
    write_folder(tmp_path / "measured", {"x": f"Intro. {long('apple')}", "y": long("other")}, test=["x"])
    asked = {"query": "Query  X", "text": long("fig"), "title": "fig"}
    write_pairs(tmp_path / "a.jsonl.xz", *rows("apple", "banana", "cherry"), asked)
    evaluated = Evaluated.of([tmp_path / "measured"])
    [(_, found)] = prepare([Source("a", "question", "a.jsonl.xz")], tmp_path, evaluated)
    assert [passage.title for passage in found.passages] == ["banana", "cherry", "fig"]
    assert [each.query for each in found.queries] == ["what is banana", "what is cherry"]
    own, runs = Source("measured", "claim", "measured", has_pages=False), runs_of([long("apple")])
    assert not evaluated.meets(runs, own).any()  # of its own, judgments say what is barred
    assert evaluated.meets(runs, Source("a", "question", "a.jsonl.xz")).all()
    assert "query x" in evaluated.queries


def test_queries_of_a_split_to_learn_from_are_not_barred(tmp_path: Path) -> None:
    write_folder(tmp_path / "measured", {"x": "text", "y": "text"}, train=["x"], test=["y"])
    assert Evaluated.of([tmp_path / "measured"]).queries == {"query y"}


def test_what_says_what_is_held_out_is_no_part_of_another_source(tmp_path: Path) -> None:
    write_pairs(tmp_path / "left.jsonl.xz", *rows("apple"))
    write_pairs(tmp_path / "a.jsonl.xz", {"query": "q", "text": f"More. {long('apple')}"}, *rows("banana", "cherry"))
    sources = [Source("left", "docs", "left.jsonl.xz", left_out=True), Source("a", "question", "a.jsonl.xz")]
    (_, left), (_, found) = prepare(sources, tmp_path, NOTHING)
    assert [each.is_held for each in left.queries] == [True]
    assert left.held == {0}
    assert sorted(passage.title for passage in found.passages) == ["banana", "cherry"]
    held = {found.passages[place].title for place in found.held}
    assert len(held) == 1
    assert {each.query for each in found.queries if each.is_held} == {f"what is {name}" for name in held}


def test_a_query_between_held_out_and_other_documents_is_neither(tmp_path: Path) -> None:
    names = [f"w{number}x" for number in range(20)]
    shared = [{**row, "query": "what is it all"} for row in rows(*names)]
    write_pairs(tmp_path / "a.jsonl.xz", *shared, *rows(*names))
    [(_, found)] = prepare([Source("a", "question", "a.jsonl.xz")], tmp_path, NOTHING)
    assert "what is it all" not in {each.query for each in found.queries}
    assert len(found.queries) == 20


def test_sources_of_one_file_hold_out_the_same_documents() -> None:
    documents = [str(number) for number in range(100)]
    claims, titles = Source("c", "claim", "beir"), Source("t", "title", "beir", asks="titles")
    assert hold_out(documents, claims) == hold_out(documents[::-1], titles)
    assert len(hold_out(documents, claims)) == 8
    assert hold_out(documents, Source("l", "docs", "beir", left_out=True)) == set(documents)


def test_a_packed_collection_is_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt") as file:
        file.write(json.dumps({"_id": "a", "text": long("apple")}) + "\n")
    (tmp_path / "queries.jsonl").write_text('{"query_id": "1", "query": "Asked"}\n')
    found = Evaluated.of([tmp_path])
    assert found.queries == {"asked"}
    assert [runs.size for runs in found.runs.values()] == [2]
