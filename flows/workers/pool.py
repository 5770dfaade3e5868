"""Who computes a run's shards: threads of this process, or workers of Dask or Ray, by Prefect's task runners.

A cluster costs seconds and memory, so none is asked for before the first shard is there: most nights have none.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.futures import as_completed
from prefect.settings import PREFECT_API_URL, temporary_settings

from nightrank.storage.errors import InputError, NightrankError
from nightrank.tasks.workers.cut import Place, Sharding
from nightrank.tasks.workers.seats import forget_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from prefect import Task
    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from nightrank.storage.bucket.shards import SharedFile, SharedFolder
    from nightrank.tasks.settings.operation import ExecutionSettings

    S = TypeVar("S")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class WorkerBackend(Protocol):
    """A kind of workers."""

    def started(self) -> AbstractContextManager[TaskRunner[Any]]:
        """Prefect's task runner for them, until the block ends.

        Raises:
            NightrankError: There are none.
        """
        ...

    def asking(self) -> AbstractContextManager[object]:
        """What a shard asks of its worker, for as long as it is being sent."""
        ...

    def call_off(self, future: PrefectFuture[Any]) -> None:
        """Take a shard back, if it has not ended yet."""
        ...

    def loss(self, error: BaseException) -> NightrankError | None:
        """What is to be said of an error that is no shard's own: workers that were lost again and again."""
        ...


class ShardWorkers:
    """Does shards as Prefect's tasks; made in the flow whose tasks they are to be.

    Args:
        kind: Of workers.
    """

    def __init__(self, kind: WorkerBackend) -> None:
        self._kind = kind
        # Of the flow and not of a stage: what a stage holds, models and all, would be sent along with every shard.
        self._context = copy_context()
        self._stack = ExitStack()
        self._runner: TaskRunner[Any] | None = None

    def compute(self, task: Task[[Any], SharedFile], shards: Sequence[S]) -> Iterator[tuple[S, SharedFile]]:
        """Each shard with what came of it, as they end; as ``tasks.workers.cut.Workers`` has it."""
        unfinished: dict[PrefectFuture[SharedFile], S] = {}
        try:
            for shard in shards:
                unfinished[self._context.run(self._send, task, shard)] = shard
            for future in as_completed([*unfinished]):
                outcome = self._outcome(future)
                yield unfinished.pop(future), outcome
        finally:
            for future in unfinished:
                self._kind.call_off(future)

    def close(self) -> None:
        """End what this run has started."""
        self._stack.close()

    def _send(self, task: Task[[Any], SharedFile], shard: object) -> PrefectFuture[SharedFile]:
        # Workers report to the API that this run reports to, also where that is one which Prefect started for it.
        with temporary_settings({PREFECT_API_URL: _api()}):
            if self._runner is None:
                self._runner = self._stack.enter_context(self._kind.started())
            with self._kind.asking():
                sent: PrefectFuture[SharedFile] = self._runner.submit(task, {"shard": shard})
                return sent

    def _outcome(self, future: PrefectFuture[SharedFile]) -> SharedFile:
        try:
            return future.result()
        except BaseException as error:
            loss = self._kind.loss(error)
            if loss is None:
                raise
            raise loss from error


@contextmanager
def sharding(execution: ExecutionSettings, shared: SharedFolder) -> Iterator[Sharding | None]:
    """How a run cuts its work for workers, which end with the block; None where it does all work itself.

    Args:
        execution: Where it runs.
        shared: Where shards are to lie; of what is left there in a bucket nothing stays.

    Raises:
        InputError: The settings do not go together, a package is missing, or Prefect knows no such limit.
    """
    kind = _kind(execution)
    if kind is None:
        yield None
        return
    if execution.concurrency_limit is not None:
        _require_limit(execution.concurrency_limit)
    _require_api_for(execution.runner_address)
    workers = ShardWorkers(kind)
    try:
        yield Sharding(workers, _place(execution), execution.shard_texts, execution.shard_pairs, execution.shard_scores)
    finally:
        workers.close()
        with suppress(NightrankError):  # what had gone wrong before counts; the next writer clears it away
            shared.clear()
        forget_models()  # of threads; of a cluster's workers this process knows nothing


def _kind(execution: ExecutionSettings) -> WorkerBackend | None:
    """The kind of workers that the settings ask for; None for none."""
    runner, devices = execution.runner, execution.worker_devices
    if runner == "local":
        if execution.runner_address is not None:
            message = 'execution.runner_address is set, and execution.runner is "local".'
            raise InputError(message, remedy='Set `execution.runner = "dask"` or "ray", or leave the address out.')
        if len(set(devices)) < 2:  # one model fills a processor or a GPU: a second one beside it only takes from it
            return None
        from nightrank.flows.workers.threads import Threads

        return Threads(len(set(devices)))
    if len(devices) > 1:
        message = f"execution.worker_devices names {len(devices)} devices for the runner {runner!r}."
        remedy = "Name one; for the GPUs of one machine use `local`, for those of a cluster `shard_gpus`."
        raise InputError(message, remedy=remedy)
    if find_spec(f"prefect_{runner}") is None:
        message = f"execution.runner is {runner!r}, which needs packages that are not installed."
        raise InputError(message, remedy=f"Install them: `pip install nightrank[{runner}]`.")
    if runner == "dask":
        from nightrank.flows.workers.dask import Dask

        return Dask(execution)
    from nightrank.flows.workers.ray import Ray

    return Ray(execution)


def _place(execution: ExecutionSettings) -> Place:
    threads = execution.threads
    if threads is None and execution.runner != "local" and execution.runner_address is None:
        threads = max(1, _cores() // execution.workers)
    return Place(
        devices=tuple(dict.fromkeys(execution.worker_devices)),
        gpus_by_ray=execution.runner == "ray" and execution.shard_gpus > 0,
        batch_tokens=execution.batch_tokens,
        threads=threads,
        limit=execution.concurrency_limit,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_limit(name: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound as error:
            message = f"Prefect knows no concurrency limit {name!r}."
            remedy = f"Make it, `prefect gcl create {name} --limit 1`, or correct `execution.concurrency_limit`."
            raise InputError(message, remedy=remedy) from error


def _api() -> str:
    """The API that this run reports to."""
    address: str | None = PREFECT_API_URL.value()
    if address:
        return address
    run = FlowRunContext.get()
    if run is not None:
        return str(run.client.api_url)
    with get_client(sync_client=True) as client:
        return str(client.api_url)


def _require_api_for(address: str | None) -> None:
    """Workers elsewhere need a server that they reach: the one that Prefect starts for a run is the run's own."""
    if address is not None and not _is_here(address) and not PREFECT_API_URL.value():
        message = f"The workers at {address} cannot report to the Prefect server that this process starts for itself."
        remedy = "Set PREFECT_API_URL to a server that they reach, `prefect server start --host 0.0.0.0`."
        raise InputError(message, remedy=remedy)


def _is_here(address: str) -> bool:
    host = urlsplit(address if "//" in address else f"//{address}").hostname
    return host in LOOPBACK or address == "auto"
