"""Children in which everything is done, so that this process begins no thread and can be forked again and again."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Packages that a child would load for itself, each anew.
LOADED = (
    *("nightrank", "benchmarks", "tests", "prefect", "torch", "transformers", "sentence_transformers", "tokenizers"),
    *("scipy", "numpy", "numba", "llvmlite", "pandas", "duckdb", "lancedb", "lance_namespace", "pyarrow", "sqlite3"),
    *("ir_measures", "rank_bm25", "tomlkit", "safetensors", "icu4py", "Stemmer", "matplotlib", "jinja2", "sklearn"),
    *("cyclopts", "rich", "phonenumbers", "stdnum", "cryptography", "mpl_toolkits", "contourpy", "PIL", "markdown_it"),
)
HANGS_SECONDS = 1800  # without a sign of life: a fault is told, and the child killed


def given_by(work: Callable[[], object], folder: Path) -> Any:  # noqa: ANN401 (JSON)
    """What some work gives as JSON, done in a child.

    Raises:
        ChildFailed: It raised something.
    """
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)

    def write() -> int:
        try:
            value: object = [work()]
        except BaseException as error:  # whatever it is, it is told
            value = " ".join("".join(traceback.format_exception(error)[-3:]).split())
        answer.write_text(json.dumps(value), encoding="utf-8")
        return 0

    code = ended(write)
    if code != 0:
        raise ChildFailed(f"ended with {code}")
    value = json.loads(answer.read_text(encoding="utf-8"))
    if isinstance(value, str):
        raise ChildFailed(value)
    return value[0]


class ChildFailed(Exception):
    """A child raised something, or was ended."""


def ended(work: Callable[[], int]) -> int:
    """How a child ended that did some work: its exit code, or minus a signal."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    waiting = os.pidfd_open(child)
    try:
        if not select.select([waiting], [], [], HANGS_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(waiting)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def modules_after(work: Callable[[], object]) -> list[str]:
    """The modules that some work loads, of packages that every child would load anew."""
    work()
    return loaded()


def loaded() -> list[str]:
    """The modules that this process has loaded, of such packages."""
    return sorted(name for name in sys.modules if name.partition(".")[0] in LOADED)


def load(modules: list[str]) -> None:
    """Load modules before children are made; LanceDB's own thread is all that begins by it, and it minds forks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            with suppress(Exception):  # some are not to be loaded by their names
                importlib.import_module(name)
