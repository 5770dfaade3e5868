from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.tasks.embed.account import account_of_chunks, account_of_queries, warnings_of_embedder
from nightrank.tasks.embed.encoder import EmbedderPlan, plan_embedder
from nightrank.tasks.read.account import Kind
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.read.account import Entry


@pytest.fixture(scope="module")
def packaged() -> EmbedderPlan:
    return plan_embedder(EmbedderSettings(), ExecutionSettings(device="cpu"), base=Path("/nowhere"))


def told(entries: Sequence[Entry]) -> list[tuple[str, Kind, str, int]]:
    return [(entry.part, entry.kind, entry.what, entry.count) for entry in entries]


def test_chunks_that_are_too_long_and_characters_that_are_unknown_are_counted(
    tmp_path: Path, packaged: EmbedderPlan
) -> None:
    table = ChunkTable.create(LanceFolder(tmp_path / "lance"), embedder="e", dimensions=1)
    hashes, texts = ["a", "b", "gone"], ["shoes", "退货", "退货" * 99]
    table.add(hashes, texts, [254, 255, 999], np.zeros((3, 1), dtype=np.float32))
    pq.write_table(pa.table({"chunk_hash": ["a", "b", "b"]}), tmp_path / "chunks.parquet")
    entries = account_of_chunks(tmp_path / "chunks.parquet", table, packaged)
    assert told(entries) == [
        ("documents", Kind.LONG, "chunks", 2),
        ("documents", Kind.TOKENS, "all", 7),
        ("documents", Kind.TOKENS, "unknown", 2),
    ]
    unknown, long = warnings_of_embedder(entries)
    assert "does not know 29% of the documents" in unknown
    assert "2 chunks are longer than the embedder reads" in long


def test_queries_are_counted_alike(packaged: EmbedderPlan) -> None:
    entries = account_of_queries(["1", "2"], ["word " * 300, "shoes"], packaged)
    assert told(entries) == [
        ("queries", Kind.LONG, "queries", 1),
        ("queries", Kind.TOKENS, "all", 1205),
        ("queries", Kind.TOKENS, "unknown", 0),
    ]
    assert len(warnings_of_embedder(entries)) == 1


def test_nothing_is_told_of_what_the_embedder_knows(packaged: EmbedderPlan) -> None:
    assert warnings_of_embedder(account_of_queries(["1"], ["return shoes"], packaged)) == ()
