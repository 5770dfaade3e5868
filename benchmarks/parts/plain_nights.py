"""A night without Prefect's engine: stages run as the plain functions that they are, in the order of the flow.

For what is not to be measured with Prefect's own seconds, or runs a hundred times: rebuilds, soaks, kill tests; and for
the most memory that each stage holds.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect import Task

    from nightrank.flows.night.summary import Summary
    from nightrank.tasks.embed.lazy import LazyEmbedder

T = TypeVar("T")

SAMPLED_SECONDS = 0.1  # between two looks at the memory of other processes


def refresh_plainly(
    settings_file: Path,
    *,
    on_stage: Callable[[str], None] = lambda _name: None,
    embedder: type[LazyEmbedder] | None = None,
) -> Summary:
    """Run the nightly flow in this process; what it raises and returns are the flow's own.

    Args:
        settings_file: The settings.
        on_stage: Told the name of each stage before it begins.
        embedder: In place of the night's own.
    """
    from nightrank.flows.night import build as night_build
    from nightrank.flows.refresh import refresh
    from nightrank.tasks.embed.lazy import LazyEmbedder

    def stage(build: night_build.Build, task: Task[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (as the task takes them)
        on_stage(task.name)
        start = time.perf_counter()
        outcome: T = task.fn(*args, **kwargs)
        build.seconds[task.name] = time.perf_counter() - start
        return outcome

    with (
        patch.object(night_build.Build, "stage", stage),
        patch.object(night_build, "LazyEmbedder", embedder or LazyEmbedder),
    ):
        return refresh.fn(str(settings_file))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a stage took.

    Attributes:
        stage: Its name.
        seconds: That it ran.
        cpu_seconds: Of this process and of those that it started and that have ended.
        peak_bytes: The most memory held resident while it ran, by this process and those that it started; what
            several of them share counts once for each.
    """

    stage: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class StageWatch:
    """Takes down what stages take, one after the other (Linux alone).

    Args:
        on_taken: Told of each as it ends.
    """

    def __init__(self, on_taken: Callable[[Taken], None]) -> None:
        self._on_taken = on_taken
        self._stage = "start"
        self._most = 0  # as sampled, with the processes that this one started
        self._begin("start")

    def next(self, stage: str) -> None:
        """One ends and another begins."""
        self.end()
        self._begin(stage)

    def end(self) -> None:
        """The last one ends."""
        peak = max(own_peak_bytes(), self._most)
        cpu = _cpu_seconds() - self._cpu
        self._on_taken(Taken(self._stage, time.perf_counter() - self._started, cpu, peak))

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Look at the memory of the processes that this one starts, again and again."""
        ended = Event()

        def sample() -> None:
            while not ended.wait(SAMPLED_SECONDS):
                others = [_resident_bytes(process) for process in _started_by(os.getpid())]
                if others:
                    self._most = max(self._most, _resident_bytes(os.getpid()) + sum(others))

        sampler = Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            ended.set()
            sampler.join()

    def _begin(self, stage: str) -> None:
        self._stage, self._started, self._cpu, self._most = stage, time.perf_counter(), _cpu_seconds(), 0
        Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the peak


def own_peak_bytes() -> int:
    """The most memory that this process held resident since the kernel was last told to forget it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024


def _resident_bytes(process: int) -> int:
    with suppress(OSError):  # it has ended
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _started_by(process: int) -> list[int]:
    """The processes that one has started, and those that these have."""
    started: list[int] = []
    with suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                started += map(int, children.read_text(encoding="ascii").split())
    return [*started, *(below for child in started for below in _started_by(child))]


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
