from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from nightrank.flows.workers.pool import ShardWorkers, sharding
from nightrank.flows.workers.threads import Threads
from nightrank.storage.bucket.shards import FolderOnDisk, SharedFile
from nightrank.storage.errors import InputError, MachineError
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.workers.cut import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command
    from tests.support.collection import Collection


UNUSED = FolderOnDisk(Path("unused"))


@dataclass(frozen=True)
class Numbered:
    """A shard that is nothing but its number, and what is done with it."""

    number: int
    work: Callable[[int], None] = field(compare=False)


@stage_task("numbered", retry=RETRIED)
def numbered(shard: Numbered) -> SharedFile:
    shard.work(shard.number)
    return SharedFile(UNUSED, f"{shard.number}", 0, "")


def compute(count: int, work: Callable[[int], None], *, threads: int = 2) -> dict[int, str]:
    """The outcome of so many shards, by number."""

    @flow
    def shards() -> dict[int, str]:
        workers = ShardWorkers(Threads(threads))
        try:
            done = workers.compute(
                numbered.with_options(retry_delay_seconds=0), [Numbered(number, work) for number in range(count)]
            )
            return {shard.number: output.name for shard, output in done}
        finally:
            workers.close()

    return shards()


@pytest.mark.parametrize("devices", [(), ("cpu",), ("cuda:1",)])
def test_one_process_does_all_where_nothing_else_is_asked_for(devices: tuple[str, ...]) -> None:
    with sharding(ExecutionSettings(worker_devices=devices), UNUSED) as cut:
        assert cut is None


def test_local_has_a_thread_for_each_device() -> None:
    execution = ExecutionSettings(worker_devices=("cuda:0", "cuda:1"), shard_texts=7, shard_pairs=9, shard_scores=11)
    with sharding(execution, UNUSED) as cut:
        assert cut is not None
        assert (cut.texts, cut.pairs, cut.scores) == (7, 9, 11)
        assert cut.place_on("cpu") == Place(("cuda:0", "cuda:1"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (ExecutionSettings(runner_address="tcp://host:1"), 'runner_address is set, and execution.runner is "local"'),
        (
            ExecutionSettings(runner="dask", worker_devices=("cuda:0", "cuda:1")),
            "names 2 devices for the runner 'dask'",
        ),
        (ExecutionSettings(runner="ray", worker_devices=("cuda:0", "cuda:1")), "names 2 devices for the runner 'ray'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: ExecutionSettings, reason: str) -> None:
    with pytest.raises(InputError, match=reason), sharding(settings, UNUSED):
        pytest.fail("the run began")


def test_workers_elsewhere_need_a_server_that_they_reach() -> None:
    execution = ExecutionSettings(runner="dask", runner_address="tcp://gpu-box:8786")
    with (
        temporary_settings({PREFECT_API_URL: None}),
        pytest.raises(InputError, match="Set PREFECT_API_URL"),
        sharding(execution, UNUSED),
    ):
        pytest.fail("the run began")


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_runner_whose_extra_is_missing_says_which(
    runner: str, collection: Collection, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"prefect_{runner}", None)  # what Python takes for "not there"
    collection.settings["execution"]["runner"] = runner
    collection.write()

    ended = nightrank("refresh", "-c", collection.settings_file)

    assert ended.code == 2
    assert f"pip install nightrank[{runner}]" in ended.err
    assert not collection.workspace.exists()


def test_every_shard_comes_back_with_what_came_of_it(prefect_api: str) -> None:
    def slow_at_first(number: int) -> None:
        time.sleep(0.2 if number == 0 else 0.0)

    assert compute(5, slow_at_first) == {number: str(number) for number in range(5)}


@pytest.mark.long
def test_a_shard_that_fails_for_a_reason_is_not_tried_again_and_ends_the_others(prefect_api: str) -> None:
    tries: list[int] = []

    def fail(number: int) -> None:
        tries.append(number)
        if number == 0:
            message = "These weights are others."
            raise MachineError(message, remedy="Restore them.")
        time.sleep(6.0 if number == 1 else 0.0)  # the thread's next one: time enough for the run to hear of the first

    with pytest.raises(MachineError, match=r"These weights are others\. Restore them\."):
        compute(40, fail, threads=1)
    assert tries.count(0) == 1
    assert set(tries) <= {0, 1}


def test_a_shard_that_a_disk_failed_is_tried_again(prefect_api: str) -> None:
    tries: list[int] = []

    def fail_once(number: int) -> None:
        tries.append(number)
        if len(tries) == 1:
            raise OSError(116, "Stale file handle")

    assert compute(1, fail_once) == {0: "0"}
    assert tries == [0, 0]


def test_a_limit_that_prefect_does_not_know_is_told_before_anything_is_done(prefect_api: str) -> None:
    settings = ExecutionSettings(worker_devices=("cuda:0", "cuda:1"), concurrency_limit="no-such-limit")
    with (
        pytest.raises(InputError, match=r"no concurrency limit 'no-such-limit'.*prefect gcl create"),
        sharding(settings, UNUSED),
    ):
        pytest.fail("the run began")


@pytest.mark.long
def test_a_limit_of_one_lets_one_shard_compute_at_a_time(prefect_api: str) -> None:
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="one-gpu", limit=1))
    place = Place(("cpu",), limit="one-gpu")
    busy = threading.Lock()

    def work(number: int) -> None:
        with place.slot():
            assert busy.acquire(blocking=False)
            time.sleep(0.2)
            busy.release()

    assert len(compute(3, work)) == 3
