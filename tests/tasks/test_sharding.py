from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from prefect.states import Failed

from storage.errors import InputError, MachineError
from tasks.sharding import Place, Sharding, may_help

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import TaskRun

    from tasks.sharding import Workers


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError(116, "Stale file handle"), True),
        (ConnectionResetError("the share went away"), True),
        (InputError("the model is not there"), False),
        (MachineError("the model is another one"), False),
        (FileNotFoundError("the run is gone"), False),
        (ValueError("shapes do not match"), False),
        (RuntimeError("CUDA error"), False),
    ],
)
def test_only_what_a_disk_or_a_network_did_is_tried_again(error: Exception, *, again: bool) -> None:
    task, run = cast("Task[..., Any]", None), cast("TaskRun", None)  # which are not looked at
    assert may_help(task, run, Failed(data=error)) is again


def test_workers_compute_where_the_run_would_unless_a_device_is_named() -> None:
    workers = cast("Workers", None)  # which are not asked
    assert Sharding(workers, Place(()), texts=1, pairs=1).place_on("cuda").devices == ("cuda",)
    assert Sharding(workers, Place(("cuda:1",)), texts=1, pairs=1).place_on("cpu").devices == ("cuda:1",)
