"""A process that runs nights in children of its own, each of which may be killed; driven line by line.

Heavy libraries are imported once, here, and every child starts with them: a night then takes a second, and a
dozen can be killed in a test. A line on standard input is one night: {"settings_file": ...}, and of

    "kill_after_seconds"  how long after its start the child is killed from outside
    "kill_before"         the name of a step in STEPS, or "kill_after" it: the child kills itself right there

The answer is a line on standard output: {"ended": exit code, or minus the signal, "seconds": ...}. Prefect
is left out: stages run as the plain functions that they are.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect import Task

T = TypeVar("T")

# Not LanceDB, whose background thread would not be in the children.
HEAVY = ("prefect", "torch", "sentence_transformers", "transformers", "scipy.sparse", "ir_measures", "rank_bm25")

# Every place where state changes outside the staging folder, and the first and last file inside it.
STEPS = {
    "staging": ("storage.tables", "RowWriter", "__init__"),
    "commit of vectors": ("storage.chunk_table", "ChunkTable", "add"),
    "commit of pair scores": ("storage.memo", "PairMemo", "append"),
    "search cache": ("tasks.publishing", None, "write_search_cache"),
    "pin": ("storage.chunk_table", "ChunkTable", "pin"),
    "seal": ("tasks.publishing", None, "seal"),
    "pointer": ("storage.workspace", "Workspace", "point_at"),
}


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    print("ready", flush=True)  # noqa: T201 (this is the protocol)
    for line in sys.stdin:
        order = json.loads(line)
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _night(order)
        if (seconds := order.get("kill_after_seconds")) is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        answer = {"ended": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start}
        print(json.dumps(answer), flush=True)  # noqa: T201 (this is the protocol)


def _night(order: dict[str, Any]) -> None:
    code = 1
    try:
        from flows.night import Run
        from flows.refresh import refresh

        def stage(run: Run, task: Task[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (as the task takes them)
            return task.fn(*args, **kwargs)

        setattr(Run, "stage", stage)  # noqa: B010 (no server, no task runs; mypy takes no assignment here)
        for when in ("before", "after"):
            if (step := order.get(f"kill_{when}")) is not None:
                _die(*STEPS[step], when=when)
        refresh.fn(order["settings_file"])
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        os._exit(code)


def _die(module: str, owner: str | None, name: str, *, when: str) -> None:
    """Have the function kill this process before or after it has done its work."""
    holder = importlib.import_module(module)
    if owner is not None:
        holder = getattr(holder, owner)
    work: Callable[..., Any] = getattr(holder, name)

    def fatal(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as the function takes them)
        if when == "after":
            work(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(holder, name, fatal)


if __name__ == "__main__":
    main()
