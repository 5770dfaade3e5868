from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.inputs.drawn_vectors import DrawnVectors
from benchmarks.many_chunks import NIGHTS, Journal, claims_of, main, retrieval_by, write_documents
from benchmarks.parts.plain_nights import Taken
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models


def test_a_hundredth_of_the_documents_changes_and_the_others_read_the_same(tmp_path: Path) -> None:
    first, second = (documents_of(tmp_path / str(edition), 3000, edition=edition) for edition in (0, 1))

    assert len(first) == 3000
    assert len(first.keys() - second.keys()) == 10
    assert len(second.keys() - first.keys()) == 9
    assert sum(first[key] != second[key] for key in first.keys() & second.keys()) == 11  # of 12 one is removed


def documents_of(path: Path, count: int, *, edition: int) -> dict[str, str]:
    write_documents(path, count, edition=edition)
    rows = pq.read_table(path).to_pylist()
    return {row["_id"]: row["text"] for row in rows}


def test_a_text_has_the_same_unit_vector_wherever_it_stands_and_another_text_another(
    models: Models, tmp_path: Path
) -> None:
    settings = EmbedderSettings(model=str(models.embedder))
    embedder = DrawnVectors(plan_embedder(settings, ExecutionSettings(), base=tmp_path))
    one, two, again = embedder.embed_passages(["one", "two", "one"])

    assert np.array_equal(one, again)
    assert np.allclose([np.linalg.norm(one), np.linalg.norm(two)], 1.0, atol=1e-6)
    assert abs(float(one @ two)) < 0.9
    assert not np.array_equal(one, embedder.embed_queries(["one"])[0])


def test_a_step_that_was_stopped_has_no_outcome_and_its_longest_attempt_at_each_stage(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for seconds in (3.0, 7.0, 0.1):  # stopped, run to its end, carried over
        journal.add("first night", taken={"stage": "read", "seconds": seconds, "cpu_seconds": 1.0, "peak_bytes": 5})

    assert journal.outcome("first night") is None
    assert journal.stages("first night") == {"read": Taken("read", 7.0, 1.0, 5)}
    assert journal.stages("night of churn") == {}


@pytest.mark.parametrize(
    ("lists", "peak_bytes", "passed"),
    [("same", 7_900_000_000, True), ("other", 1, False), ("same", 8_100_000_000, False)],
)
def test_other_lists_and_more_than_8_gb_miss_the_target(
    tmp_path: Path, lists: str, peak_bytes: int, *, passed: bool
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for step, outcome in ((retrieval_by(1), "same"), (retrieval_by(2), lists)):
        journal.add(step, taken={"stage": "read", "seconds": 1.0, "cpu_seconds": 1.0, "peak_bytes": peak_bytes})
        journal.add(step, outcome={"bm25": outcome})

    *_, of_workers = claims_of(journal, [retrieval_by(1), retrieval_by(2)], chunks=10)

    assert of_workers.passed is passed


@pytest.mark.long
def test_both_nights_and_a_retrieval_are_told_and_done_once(tmp_path: Path) -> None:
    arguments = ["--chunks", "400", "--queries", "12", "--work", str(tmp_path), "--workers", "--json"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        journal = Journal(tmp_path / "many_chunks" / "400 12" / "journal.jsonl")
        lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
        assert [line["step"] for line in lines if "outcome" in line] == [*NIGHTS, retrieval_by(1)]
    outcome = journal.outcome(NIGHTS[1])
    assert outcome is not None
    assert outcome["counts"]["chunks_embedded"] == 3  # two are edited and one is added; one is removed
