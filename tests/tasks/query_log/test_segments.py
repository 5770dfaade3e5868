"""Segments as a log tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.query_log.segments import read_segments
from nightrank.tasks.settings.inputs import QueriesSettings

if TYPE_CHECKING:
    from pathlib import Path


def segments(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return read_segments(QueriesSettings(log=path.name), base=path.parent)


def test_a_query_has_the_segment_that_its_row_names(tmp_path: Path) -> None:
    rows = [
        '{"query_id": "q1", "query": "tea", "segment": " short\\nones "}',
        "not a row",
        '{"query_id": "q2", "query": "how do bees make honey", "segment": "questions"}',
        '{"query_id": "q3", "query": "salt"}',
        '{"query": "without an id", "segment": "short ones"}',
        '{"query_id": "q4", "query": "a number for a segment", "segment": 7}',
        '{"query_id": "q1", "query": "tea", "segment": "drinks"}',
    ]

    found = segments(tmp_path / "log.jsonl", "\n".join(rows) + "\n")

    assert found == {"q1": "drinks", "q2": "questions"}


@pytest.mark.parametrize("text", ["query_id\tquery\nq1\ttea\n", "query_id\tquery\tsegment\nq1\ttea\t\n"])
def test_a_log_without_segments_has_none(text: str, tmp_path: Path) -> None:
    assert segments(tmp_path / "log.tsv", text) == {}


def test_a_log_that_is_gone_has_none(tmp_path: Path) -> None:
    assert read_segments(QueriesSettings(log="gone.jsonl"), base=tmp_path) == {}
    assert read_segments(QueriesSettings(log="gone/*.jsonl"), base=tmp_path) == {}
