"""Shards computed by workers of Dask."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from nightrank.tasks.settings.operation import ExecutionSettings

PATIENCE_SECONDS = 120  # until a first worker is there


@dataclass(frozen=True, slots=True)
class Dask:
    """Workers of a Dask cluster.

    Attributes:
        execution: Where it is, or how large one is to be.
    """

    execution: ExecutionSettings

    @contextmanager
    def started(self) -> Iterator[TaskRunner[Any]]:
        """Prefect's runner on the cluster at the address, or on one of its own, when it has a worker.

        Raises:
            InputError: No scheduler answers at the address.
            MachineError: It has no worker.
        """
        from prefect_dask.task_runners import DaskTaskRunner

        for name in ("distributed", "dask"):  # they tell of every connection
            logging.getLogger(name).setLevel(logging.ERROR)
        address = self.execution.runner_address
        with DaskTaskRunner(address=address, cluster_kwargs=self._own_cluster() if address is None else None) as runner:
            try:
                runner.client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
            except TimeoutError as error:
                message = f"The Dask cluster at {address or 'this machine'} has no worker."
                raise MachineError(message, remedy="Start workers, `dask worker ADDRESS --nthreads 1`.") from error
            except (OSError, ValueError) as error:
                message = f"No Dask scheduler answers at {address}: {error}."
                raise InputError(message, remedy="Start one, `dask scheduler`, or correct the address.") from error
            yield runner

    def _own_cluster(self) -> dict[str, Any]:
        gpus = self.execution.shard_gpus
        return {
            "n_workers": self.execution.workers,
            "threads_per_worker": 1,  # a worker computes one shard at a time, with threads of torch
            "resources": {"GPU": gpus} if gpus else None,
            "dashboard_address": None,
            "memory_limit": 0,  # a model that needs more than a share of the memory is no reason to end its worker
            "silence_logs": logging.ERROR,
            # It looks at every thread a hundred times a second, which slows the loading of a model above all.
            "config": {"distributed.worker.profile.enabled": False},
        }

    def asking(self) -> AbstractContextManager[object]:
        """The resource ``GPU``, where shards are to have one."""
        from dask.base import annotate

        gpus = self.execution.shard_gpus
        return annotate(resources={"GPU": gpus}) if gpus else nullcontext()

    def call_off(self, future: PrefectFuture[Any]) -> None:
        """Take a shard back; one that has begun ends without anyone waiting for it."""
        future.wrapped_future.cancel()  # type: ignore[attr-defined]  # of Prefect's futures that wrap one, as here

    def loss(self, error: BaseException) -> MachineError | None:
        """Workers that a shard ended, or a scheduler that is gone."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            message = "A shard killed every worker of Dask that took it; it may have needed more memory than there was."
            remedy = "Lower `execution.batch_tokens`, or the shard's size. What was done so far is kept."
            return MachineError(message, remedy=remedy)
        if isinstance(error, CancelledError):
            message = "The connection to Dask's scheduler was lost."
            return MachineError(message, remedy="Run again: what was done so far is kept.")
        return None
