"""The machine that figures come from: what it is, and the limits of it that speeds are shares of, measured."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARIES = (
    "numpy",
    "scipy",
    "torch",
    "sentence-transformers",
    "transformers",
    "openvino",
    "lancedb",
    "duckdb",
    "pyarrow",
    "msgspec",
    "sparse-dot-topn",
    "bm25s",
    "rank-bm25",
    "numba",
    "faiss-cpu",
)
LEAST_SECONDS = 0.2  # of one measurement, so that its start does not count
MEASUREMENTS = 5
ARRAY_BYTES = 1 << 28  # far beyond any cache of a processor


def machine() -> dict[str, str]:
    """What the figures were measured on: processor, cores, memory, GPU, Python, versions of the libraries installed."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "GPU": _gpu(),
        "Python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def matrix_rate(dtype: str = "float32", *, device: str = "cpu") -> float:
    """Operations (multiplications and additions) a second of a large square matrix product, the best of a few.

    Args:
        dtype: As torch names it: ``float32``, ``bfloat16``, ``float16``.
        device: As torch names it.
    """
    import torch

    size = 2048 if device == "cpu" else 8192
    left, right = (torch.rand((size, size), device=device).to(getattr(torch, dtype)) for _ in range(2))
    product = torch.empty_like(left)
    return 2 * size**3 * _calls_a_second(lambda: torch.mm(left, right, out=product), device=device)


def memory_bandwidth(*, device: str = "cpu") -> float:
    """Bytes a second that are read or written where two large arrays are added into a third, the best of a few."""
    import torch

    left, right, total = (torch.ones(ARRAY_BYTES // 4, dtype=torch.float32, device=device) for _ in range(3))
    return 3 * ARRAY_BYTES * _calls_a_second(lambda: torch.add(left, right, out=total), device=device)


def _calls_a_second(call: Callable[[], object], *, device: str) -> float:
    """The rate of the best measurement, of calls enough for one."""

    def seconds(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        if device != "cpu":
            import torch

            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    calls = 1
    while seconds(calls) < LEAST_SECONDS:
        calls *= 2
    return calls / min(seconds(calls) for _ in range(MEASUREMENTS))


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
