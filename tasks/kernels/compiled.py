"""Python loops over arrays as machine code, made by numba at their first call and kept between processes.

Importing numba takes about a second, so modules of compiled loops are imported where they are called.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code that runs without Python's lock, on what numba takes: arrays and numbers.

    No arithmetic is reordered or fused, so that results are those of the same steps in NumPy, to the bit. The code is
    kept beside the module, or in the user's cache folder where that is read-only; where neither can be written, each
    process compiles for itself. A function that it calls must be in the same module: what is kept is thrown away when
    its own file changes, and no other.
    """
    make: Any = numba.njit  # its types know decorators alone
    try:
        machine_code: Callable[P, R] = make(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # numba found no folder that it can write to
        machine_code = make(function, nogil=True, error_model="numpy")
    return machine_code


def threads() -> ThreadPoolExecutor:
    """As many threads as this process has processors."""
    config: Any = numba.config
    return ThreadPoolExecutor(config.NUMBA_DEFAULT_NUM_THREADS)  # of those it may run on
