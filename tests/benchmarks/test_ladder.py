from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.ladder import climb, largest_difference
from nightrank.flows.evaluate.flow import evaluate
from tests.support.collection import DOCUMENTS, LOG, QRELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models


def beir_folder(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    queries = ({"_id": query_id, "text": text} for query_id, text, _ in LOG)
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    rows = [("query-id", "corpus-id", "score"), *QRELS]
    (folder / "qrels" / "test.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return folder


@pytest.mark.long
def test_the_ladder_is_what_ir_measures_makes_of_the_run_files_and_a_change_is_seen(
    prefect_api: str, models: Models, tmp_path: Path
) -> None:
    data, work = beir_folder(tmp_path / "small"), tmp_path / "work"
    sections = {"embedder": {"model": str(models.embedder)}, "reranker": {"model": str(models.reranker)}}

    ladder = climb(data, work, limit=5, sections=sections)

    assert (ladder.queries, ladder.passed) == (5, True)
    assert [stage["stage"] for stage in ladder.stages][-4:] == ["bm25", "dense", "fused", "reranked"]
    evaluated = evaluate.fn(str(work / "ladder.toml"), measures=["RR@10"], write_runs=str(tmp_path / "runs"))
    lines = evaluated.runs["bm25"].read_text().splitlines(keepends=True)
    first_query = lines[0].split()[0]
    evaluated.runs["bm25"].write_text("".join(line for line in lines if line.split()[0] != first_query))
    assert largest_difference(evaluated, qrels=work / "ladder.qrels.tsv") == pytest.approx(0.2)  # one query of 5
