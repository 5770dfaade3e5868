"""Nights whose shards are computed by workers of Dask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.watched_workers import SHARD_PAIRS, SHARD_TEXTS, SHARDS, Notes, assert_as_by_one_process, change

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection import Collection
    from tests.end_to_end.conftest import Refresh

pytest.importorskip("prefect_dask")


def test_nights_on_dask_are_those_of_one_process_also_when_a_worker_is_killed(
    collection: Collection, refresh: Refresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes.of_workers(tmp_path, monkeypatch, kill=True)
    collection.settings["execution"] |= {"runner": "dask", **SHARDS}

    first = refresh(collection)

    assert (tmp_path / "killed").exists()
    assert first.counts.chunks_embedded > 5 * SHARD_TEXTS
    assert first.counts.pairs_scored == first.counts.pairs > 4 * SHARD_PAIRS
    assert {process for _, process in notes.lines("Reranker")} > {process for _, process in notes.lines("Embedder")}
    assert len(set(notes.loads())) == len(notes.loads())  # a process loads a model once
    assert_as_by_one_process(collection, tmp_path / "alone")

    notes.forget()
    change(collection)
    second = refresh(collection)

    assert second.counts.vectors_checked > 0
    assert second.counts.scores_checked > 0
    assert len(set(notes.loads())) == len(notes.loads())
    assert_as_by_one_process(collection, tmp_path / "alone-again")
