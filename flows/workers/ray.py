"""Shards computed by workers of Ray."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from nightrank.tasks.settings.operation import ExecutionSettings

OBJECT_STORE_BYTES = 128 * 2**20  # shards pass references, and Ray would take a third of the memory
# Ray lets a process see the GPUs of its first shard alone; with this a process sees all and computes on its shard's.
SEE_ALL_GPUS = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}


@dataclass(frozen=True, slots=True)
class Ray:
    """Workers of a Ray cluster.

    Attributes:
        execution: Where it is, or how large one is to be.
    """

    execution: ExecutionSettings

    @contextmanager
    def started(self) -> Iterator[TaskRunner[Any]]:
        """Prefect's runner on the cluster at the address, or on one of its own.

        Raises:
            InputError: No cluster answers at the address.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no word to anyone outside; the user's own choice wins
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        from prefect_ray.task_runners import RayTaskRunner

        with ExitStack() as stack:
            try:
                runner = stack.enter_context(RayTaskRunner(init_kwargs=self._cluster()))
            except (ConnectionError, TimeoutError) as error:
                message = f"No Ray cluster answers at {self.execution.runner_address}: {error}."
                remedy = "Start one, `ray start --head`, or correct the address."
                raise InputError(message, remedy=remedy) from error
            yield runner

    def _cluster(self) -> dict[str, Any]:
        """What ``ray.init`` takes."""
        address = self.execution.runner_address
        options: dict[str, Any] = {}
        if self.execution.shard_gpus:
            options["runtime_env"] = {"env_vars": SEE_ALL_GPUS}
        if address is None or not address.startswith("ray://"):  # whose client knows neither
            options |= {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is not None:
            return {**options, "address": address}
        return {
            **options,
            "address": "local",  # and not one that happens to run here
            "num_cpus": self.execution.workers,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }

    def asking(self) -> AbstractContextManager[object]:
        """Processors and GPUs, as Ray counts them; a process that has loaded a model is kept for the next shard."""
        from prefect_ray.context import remote_options

        alone = self.execution.runner_address is None
        asked: AbstractContextManager[object] = remote_options(
            num_cpus=1 if alone else self.execution.threads or 1,
            num_gpus=self.execution.shard_gpus,
            max_calls=0,
        )
        return asked

    def call_off(self, future: PrefectFuture[Any]) -> None:
        """Take a shard back; one that has begun is interrupted."""
        import ray

        ray.cancel(future.wrapped_future)  # type: ignore[attr-defined]  # of Prefect's futures that wrap one, as here

    def loss(self, error: BaseException) -> MachineError | InputError | None:
        """Workers that a shard ended, or a node that is gone."""
        from ray import exceptions

        lost = (
            exceptions.WorkerCrashedError,
            exceptions.ObjectLostError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.LocalRayletDiedError,
        )
        if isinstance(error, lost):
            message = "A shard killed every worker of Ray that took it; it may have needed more memory than there was."
            remedy = "Lower `execution.batch_tokens`, or the shard's size. What was done so far is kept."
            return MachineError(message, remedy=remedy)
        return None
