"""The stored example collection is sound, and its builder still makes it."""

import csv
import gzip
import json
import platform
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[3] / "flows" / "demo"
MACHINE_PATH = re.compile(r"/(?:root|home|Users|opt|builds?)/\w|lib/python3")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def documents_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return documents_of(DEMO / "corpus.jsonl.gz")


@pytest.fixture(scope="module")
def queries() -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (DEMO / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    by_id = {row["query_id"]: row for row in rows}
    assert len(by_id) == len(rows)
    return by_id


@pytest.fixture(scope="module")
def judgments() -> list[tuple[str, str, int]]:
    with (DEMO / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        assert next(rows) == ["query-id", "corpus-id", "score"]
        return [(query_id, document_id, int(grade)) for query_id, document_id, grade in rows]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as the running interpreter makes it, in a process of its own: it imports the whole library."""
    output = tmp_path_factory.mktemp("demo") / "corpus.jsonl.gz"
    command = [sys.executable, "-m", "recipes.demo_collection", "--output", str(output)]
    subprocess.run(command, cwd=DEMO.parents[1], check=True, capture_output=True, timeout=120)
    return output


def normalised(query: str) -> str:
    return " ".join(query.lower().split())


def test_there_are_a_few_thousand_documents_each_with_its_own_id(documents: list[dict[str, Any]]) -> None:
    ids = [document["_id"] for document in documents]
    assert 3_000 <= len(ids) <= 6_000
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)


def test_every_document_has_title_text_module_and_kind(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        assert set(document) == {"_id", "title", "text", "metadata"}
        assert document["title"].strip()
        assert document["text"].strip()
        assert set(document["metadata"]) == {"module", "kind"}
    kinds = Counter(document["metadata"]["kind"] for document in documents)
    assert set(kinds) == {"module", "class", "function", "method", "topic"}


def test_no_document_names_a_folder_or_an_address_of_the_machine_that_built_it(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        assert not ADDRESS.search(document["text"]), document["_id"]
        assert not MACHINE_PATH.search(document["text"]), document["_id"]


def test_the_stored_file_is_small_and_the_texts_are_short(documents: list[dict[str, Any]]) -> None:
    assert (DEMO / "corpus.jsonl.gz").stat().st_size < 1_000_000
    words = [len(document["text"].split()) for document in documents]
    assert sum(words) / len(words) < 80
    assert all(
        len(document["text"].split()) < 2_000 for document in documents if document["metadata"]["kind"] != "topic"
    )


def test_the_query_log_has_counts_and_at_least_150_distinct_queries(queries: dict[str, dict[str, Any]]) -> None:
    distinct = {normalised(row["query"]) for row in queries.values()}
    assert len(distinct) >= 150
    assert "read a csv file" in distinct
    assert len(distinct) < len(queries), "the log should hold a query typed in two ways, for the merge to show"
    assert all(set(row) == {"query_id", "query", "count"} and row["count"] >= 1 for row in queries.values())


def test_every_judgment_is_about_a_stored_document_and_a_logged_query(
    documents: list[dict[str, Any]], queries: dict[str, dict[str, Any]], judgments: list[tuple[str, str, int]]
) -> None:
    ids = {document["_id"] for document in documents}
    assert {document_id for _, document_id, _ in judgments} <= ids
    assert {query_id for query_id, _, _ in judgments} <= set(queries)


def test_a_document_is_judged_once_a_query_with_a_grade_from_0_to_2(judgments: list[tuple[str, str, int]]) -> None:
    pairs = [(query_id, document_id) for query_id, document_id, _ in judgments]
    assert len(set(pairs)) == len(pairs)
    assert {grade for _, _, grade in judgments} == {0, 1, 2}


def test_at_least_80_queries_are_judged_each_with_something_relevant(judgments: list[tuple[str, str, int]]) -> None:
    judged = {query_id for query_id, _, _ in judgments}
    assert len(judged) >= 80
    assert judged == {query_id for query_id, _, grade in judgments if grade > 0}


def test_two_spellings_of_one_query_are_judged_once(
    queries: dict[str, dict[str, Any]], judgments: list[tuple[str, str, int]]
) -> None:
    judged = {query_id for query_id, _, _ in judgments}
    assert len({normalised(queries[query_id]["query"]) for query_id in judged}) == len(judged)


@pytest.mark.skipif(not (3, 11) <= sys.version_info[:2] <= (3, 13), reason="compared on Python 3.11 to 3.13 alone")
def test_the_running_python_makes_nearly_the_same_documents(rebuilt: Path, documents: list[dict[str, Any]]) -> None:
    stored = {document["_id"] for document in documents}
    made = {document["_id"] for document in documents_of(rebuilt)}
    assert len(made & stored) >= 0.9 * len(made)


@pytest.mark.skipif(
    sys.version_info[:3] != (3, 11, 7) or platform.system() != "Linux",
    reason="the stored file was made by Python 3.11.7 on Linux",
)
def test_the_python_that_made_the_stored_file_makes_it_again_byte_for_byte(rebuilt: Path) -> None:
    assert rebuilt.read_bytes() == (DEMO / "corpus.jsonl.gz").read_bytes()
