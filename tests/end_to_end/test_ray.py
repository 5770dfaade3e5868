"""Nights whose shards are computed by workers of Ray."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.workers.ray import OBJECT_STORE_BYTES, SEE_ALL_GPUS
from nightrank.tasks.workers.cut import Place
from nightrank.tasks.workers.seats import devices_of
from tests.support.watched_workers import (
    ROOT,
    SHARDS,
    Notes,
    assert_nights_in_shards,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

pytest.importorskip("prefect_ray")
pytestmark = pytest.mark.slow


def test_nights_on_ray_are_those_of_one_process_also_when_a_worker_is_killed(
    collection: Collection, refresh: Refresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes.of_workers(tmp_path, monkeypatch, kill=True)
    collection.settings["execution"] |= {"runner": "ray", **SHARDS}
    assert_nights_in_shards(collection, refresh, notes, tmp_path)


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
