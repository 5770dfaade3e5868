"""What lies in the data becomes passages and the queries that they answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nightrank.tasks.train.sources import Passage
from recipes.packaged_reranker.recipe import Recipe
from recipes.packaged_reranker.sources import judged_in_test, read_source

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = Recipe("pairs", 1.0, "pairs.jsonl", "ours")


def write_pairs(folder: Path, *pairs: tuple[str, str, str]) -> None:
    rows = [{"query": query, "text": text, "document_id": document_id} for query, text, document_id in pairs]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_equal_texts_are_one_passage_and_equal_queries_one_query(tmp_path: Path) -> None:
    write_pairs(
        tmp_path, ("Why  RAIN?", "Water falls.", "d1"), ("why rain?", "Clouds.", "d2"), ("Who?", "Clouds.", "d3")
    )
    source = read_source(RECIPE, tmp_path)
    assert source.passages == (Passage("d1", "", "Water falls."), Passage("d2", "", "Clouds."))
    answers = {query: [pair.passage for pair in pairs] for query, pairs in source.pairs.items()}
    assert answers == {"why rain?": list(source.passages), "who?": [source.passages[1]]}


def test_pages_are_drawn_whole(tmp_path: Path) -> None:
    write_pairs(tmp_path, *((f"q{page}{part}", f"t{page}{part}", f"{page}-{part}") for page in "abc" for part in "123"))
    source = read_source(Recipe("pairs", 1.0, "pairs.jsonl", "ours", max_pairs=4), tmp_path)
    counts = [sum(passage.document_id[0] == page for passage in source.passages) for page in "abc"]
    assert sorted(counts) == [0, 3, 3]


def test_a_folder_with_a_split_to_measure_on_gives_both_and_what_its_test_split_judges(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"_id": name, "text": name}) + "\n" for name in "abc"))
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "One"}\n{"_id": "2", "text": "Two"}\n')
    for split, row in (("train", "1\ta\t2"), ("val", "2\tb\t1"), ("test", "2\tc\t1")):
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{row}\n")
    source = read_source(Recipe("beir", 1.0, "beir", "ours", has_splits=True), tmp_path)
    assert [(pair.document_id, pair.grade) for pair in source.pairs["one"]] == [("a", 2)]
    assert [(pair.document_id, pair.grade) for pair in source.tested["two"]] == [("b", 1)]
    assert judged_in_test(folder) == {"c"}
    assert read_source(Recipe("beir", 1.0, "beir", "ours"), tmp_path).tested == {}
    (folder / "qrels" / "test.tsv").unlink()
    assert judged_in_test(folder) == frozenset()
