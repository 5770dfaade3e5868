"""Nights whose shards are computed by workers of Ray."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from flows.ray_workers import OBJECT_STORE_BYTES, SEE_ALL_GPUS
from tasks.sharding import Place
from tasks.worker_models import devices_of
from tests.end_to_end.watched_workers import (
    ROOT,
    SHARD_PAIRS,
    SHARD_TEXTS,
    SHARDS,
    Notes,
    assert_as_by_one_process,
    change,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection import Collection
    from tests.end_to_end.conftest import Refresh

pytest.importorskip("prefect_ray")
pytestmark = pytest.mark.slow


def test_nights_on_ray_are_those_of_one_process_also_when_a_worker_is_killed(
    collection: Collection, refresh: Refresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes.of_workers(tmp_path, monkeypatch, kill=True)
    collection.settings["execution"] |= {"runner": "ray", **SHARDS}

    first = refresh(collection)

    assert (tmp_path / "killed").exists()
    assert first.counts.chunks_embedded > 5 * SHARD_TEXTS
    assert first.counts.pairs_scored == first.counts.pairs > 4 * SHARD_PAIRS
    assert len(set(notes.loads())) == len(notes.loads())  # a process loads a model once
    assert_as_by_one_process(collection, tmp_path / "alone")

    notes.forget()
    change(collection)
    second = refresh(collection)

    assert second.counts.vectors_checked > 0
    assert second.counts.scores_checked > 0
    assert len(set(notes.loads())) == len(notes.loads())
    assert_as_by_one_process(collection, tmp_path / "alone-again")


def test_shards_at_the_same_time_are_on_the_gpus_that_ray_gave_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def devices() -> tuple[str, ...]:
        time.sleep(2)  # so that neither GPU is free for the other one's shard
        return devices_of(Place((), gpus_by_ray=True))

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray believes what it is told of GPUs; none is used here.
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env={"env_vars": SEE_ALL_GPUS},
    )
    try:
        asked = ray.remote(num_gpus=1, max_calls=0)(devices)
        assert sorted(ray.get([asked.remote() for _ in range(2)])) == [("cuda:0",), ("cuda:1",)]
    finally:
        ray.shutdown()
