"""Nights whose shards are computed by workers of Dask."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect import flow

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.workers.pool import sharding
from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.legs import LEGS
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.dense.retrieve import DenseQueries
from nightrank.tasks.embed.shards import TEXTS, EmbedderReference, EmbeddingShard, embed_shard
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.sparse.encoder import SparseEncoder
from nightrank.tasks.sparse.retrieve import SparseQueries
from tests.conftest import STARTUP_SECONDS
from tests.support.watched_workers import (
    ROOT,
    SHARD_TEXTS,
    SHARDS,
    Notes,
    assert_as_by_one_process,
    assert_nights_in_shards,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Models
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

pytest.importorskip("prefect_dask")

# The program itself, and not the command that happens to be on the path.
DASK = [sys.executable, "-m", "dask"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with one worker, each a process of its own; the worker's models are watched."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    commands = (
        [*DASK, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)],
        [*DASK, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--no-nanny"],
    )
    with (folder / "log.txt").open("w") as log:
        started = [
            subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) for command in commands
        ]
        try:
            deadline = time.monotonic() + STARTUP_SECONDS
            while not file.exists():
                assert time.monotonic() < deadline, (folder / "log.txt").read_text()
                time.sleep(0.1)
            yield json.loads(file.read_text())["address"]
        finally:
            for process in started:
                process.kill()
                process.wait()


@pytest.mark.slow
def test_nights_on_dask_are_those_of_one_process_also_when_a_worker_is_killed(
    collection: Collection, refresh: Refresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes.of_workers(tmp_path, monkeypatch, kill=True)
    collection.settings["execution"] |= {"runner": "dask", **SHARDS}
    processes = assert_nights_in_shards(collection, refresh, notes, tmp_path)
    assert processes > 1  # one was killed


@pytest.mark.slow
def test_a_night_on_a_cluster_that_others_started_is_that_of_one_process(
    cluster: str,
    collection: Collection,
    models: Models,
    refresh: Refresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collection.settings["execution"] |= {"runner": "dask", "runner_address": cluster, **SHARDS}
    collection.settings["retrieval"] = {"legs": [*LEGS], "candidate_depth": 8}
    collection.settings["sparse"] = {"model": str(models.splade)}

    with monkeypatch.context() as here:  # whoever asks for these in this process fails
        here.setattr(SparseEncoder, "encode_passages", None)
        here.setattr(DenseQueries, "add_best", None)
        here.setattr(SparseQueries, "add_best", None)
        counts = refresh(collection).counts
    assert counts.chunks_embedded > 5 * SHARD_TEXTS
    assert counts.sparse_texts_encoded == counts.texts > 5 * SHARD_TEXTS
    assert_as_by_one_process(collection, tmp_path / "alone")


@pytest.mark.slow
def test_what_a_worker_refuses_for_a_reason_is_told_and_not_tried_again(
    cluster: str, prefect_api: str, models: Models, tmp_path: Path
) -> None:
    settings = EmbedderSettings(model=str(models.embedder))
    model = EmbedderReference(settings, tmp_path, "float32", "of other weights")

    @flow
    def embed() -> None:
        shared = FolderOnDisk(tmp_path)
        source = shared.write("passages-000000", TEXTS.empty_table())
        with sharding(ExecutionSettings(runner="dask", runner_address=cluster), shared) as cut:
            assert cut is not None
            shard = EmbeddingShard(0, source, "passages", model, cut.place_on("cpu"), None)
            list(cut.workers.compute(embed_shard, [shard]))

    start = time.monotonic()
    with pytest.raises(MachineError, match="has other files than where the run was started"):
        embed()
    assert time.monotonic() - start < 60  # it was not sent from worker to worker


@pytest.mark.slow
def test_an_address_at_which_nobody_answers_is_told(collection: Collection, refresh: Refresh) -> None:
    collection.settings["execution"] |= {"runner": "dask", "runner_address": "tcp://127.0.0.1:9", **SHARDS}

    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        refresh(collection)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_run_that_is_stopped_takes_its_workers_along_and_leaves_nothing_half_written(
    stop: signal.Signals, collection: Collection, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes.of_workers(tmp_path, monkeypatch)
    monkeypatch.setenv("HOLD_SECONDS", "5")
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    collection.settings["execution"] |= {"runner": "dask", **SHARDS}
    collection.write()

    run = subprocess.Popen([Path(sys.executable).with_name("nightrank"), "refresh", "-c", collection.settings_file])
    deadline = time.monotonic() + 3 * STARTUP_SECONDS  # of the run, of its workers, of what they load
    while not (notes.file.exists() and notes.lines("Reranker")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    workers = {process for _, process in notes.loads()} - {run.pid}
    run.send_signal(stop)

    assert run.wait(timeout=120) != 0
    assert workers
    assert not [process for process in workers if Path(f"/proc/{process}").exists()]
    workspace = FolderWorkspace(collection.workspace)
    assert workspace.current_release_id() is None
    assert not workspace.releases.exists() or not list(workspace.releases.iterdir())
    assert not (workspace.root / ".lock").exists()

    collection.settings["execution"] = {"device": "cpu", "threads": 1}
    collection.write()
    assert refresh_plainly(collection.settings_file).counts.chunks_embedded == 0  # what was committed is kept
    assert_as_by_one_process(collection, tmp_path / "alone")
