"""What lies in the data becomes passages and the queries that they answer."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import RowError
from nightrank.tasks.train.sources import Passage
from recipes.packaged_reranker.recipe import FAMILIES, SOURCES, Source
from recipes.packaged_reranker.sources import Asked, judged_in, read_source

if TYPE_CHECKING:
    from pathlib import Path


def write_pairs(path: Path, *rows: dict[str, str]) -> None:
    with lzma.open(path, "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def write_folder(folder: Path, documents: dict[str, str], **splits: list[str]) -> None:
    """Queries ``q<document>``, each answered by the document."""
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "title": f"Title {name}", "text": text} for name, text in documents.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"_id": f"q{name}", "text": f"Query {name}"} for name in documents]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    for split, judged in splits.items():
        lines = "".join(f"q{name}\t{name}\t1\n" for name in judged)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")


def test_english_rows_alone_are_read_and_equal_texts_are_one_passage(tmp_path: Path) -> None:
    write_pairs(
        tmp_path / "pairs.jsonl.xz",
        {"query": "Why  RAIN?", "text": "Water  falls.", "title": "Rain", "license": "MIT", "language": "en"},
        {"query": "why rain?", "text": "Clouds.", "license": "MIT", "style": "heading"},
        {"query": "Who?", "text": "Water falls.", "license": "CC0"},
        {"query": "¿Por qué?", "text": "Agua.", "language": "es", "license": "Apache-2.0"},
    )
    found = read_source(Source("pairs", "question", "pairs.jsonl.xz"), tmp_path)
    assert found.passages == [Passage("Rain", "Rain", "Water  falls."), Passage("Clouds.", "", "Clouds.")]
    assert found.queries == [Asked("why rain?", (0, 1), is_weak=True), Asked("who?", (0,), is_weak=False)]
    assert found.licences == ["MIT", "CC0"]
    assert read_source(Source("pairs", "question", "pairs.jsonl.xz", "named"), tmp_path).licences == ["named"]


def test_a_stub_under_many_headings_is_no_part_of_a_documentation(tmp_path: Path) -> None:
    rows = [{"query": f"heading {number}", "text": "To be written."} for number in range(4)]
    write_pairs(tmp_path / "pairs.jsonl.xz", *rows, {"query": "a", "text": "Text."})
    assert len(read_source(Source("d", "docs", "pairs.jsonl.xz"), tmp_path).passages) == 1
    assert len(read_source(Source("d", "question", "pairs.jsonl.xz"), tmp_path).passages) == 2


def test_a_row_without_a_text_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl.xz", {"query": "a", "text": "b"}, {"query": "c"})
    with pytest.raises(RowError, match="it lacks the text 'text'"):
        read_source(Source("pairs", "question", "pairs.jsonl.xz"), tmp_path)


def test_of_a_folder_nothing_is_read_that_another_split_judges(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    write_folder(folder, dict.fromkeys("abcd", "text"), train=["a", "b"], test=["b", "c"])
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": n, "title": f"Title {n}", "text": f"text {n}"}) + "\n" for n in "abcd")
    )
    source = Source("beir", "claim", "beir", has_pages=False)
    found = read_source(source, tmp_path)
    assert [passage.document_id for passage in found.passages] == ["a", "d"]
    assert [asked.query for asked in found.queries] == ["query a"]
    titles = read_source(Source("t", "title", "beir", asks="titles", has_pages=False), tmp_path)
    assert [(asked.query, asked.answers) for asked in titles.queries] == [("title a", (0,)), ("title d", (1,))]
    assert {passage.title for passage in titles.passages} == {""}
    assert judged_in(folder, ("test", "val")) == {"b", "c"}


def test_where_parts_make_pages_the_pages_of_train_alone_are_read(tmp_path: Path) -> None:
    documents = {name: f"text {name}" for name in ("a:1", "a:2", "b:1", "c:1")}
    write_folder(tmp_path / "beir", documents, train=["a:1", "b:1"], val=["b:1"])
    found = read_source(Source("beir", "question", "beir"), tmp_path)
    assert [(passage.document_id, passage.text) for passage in found.passages] == [("a", "text a:1"), ("a", "text a:2")]


def test_the_shares_make_a_whole_and_names_are_told_apart() -> None:
    assert sum(family.share for family in FAMILIES.values()) == pytest.approx(1.0)
    for family in FAMILIES.values():
        assert sum(family.length_shares.values()) == pytest.approx(1.0)
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert {source.family for source in SOURCES} == FAMILIES.keys()
    assert {source.path for source in SOURCES}.isdisjoint({"arguana", "cran", "vaswani"})
