"""What a process does when it starts with this folder on PYTHONPATH: it notes what its models do, or dies of it.

So workers that Dask and Ray start are watched from within, the code that they run being the product's own. NOTES_FILE
names the file to which a line is added for each model that is loaded and each call of one, and for each range that is
scanned: the kind, what, and the process. KILL_FILE is made by the first process that computes pairs, which then ends
itself in the middle of them, and a file of that name and `-scan` by the first one that scans vectors, which does too.
HOLD_SECONDS is how long scoring takes at least.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MODELS = {
    "nightrank.tasks.embed.encoder": ("Embedder", "embed_passages"),
    "nightrank.tasks.rerank.cross_encoder": ("Reranker", "score"),
}
SCANS = {
    "nightrank.tasks.bm25.ranges": "Bm25Ranges",
    "nightrank.tasks.dense.ranges": "DenseRanges",
    "nightrank.tasks.sparse.ranges": "SparseRanges",
}


def note(kind: str, what: str | int) -> None:
    with Path(os.environ["NOTES_FILE"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps([kind, what, os.getpid()]) + "\n")


def end_once(killed: str) -> None:
    """End this process, unless another one has been ended so."""
    if not Path(killed).exists():
        Path(killed).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def watch_scans(module: ModuleType) -> None:
    name = SCANS[module.__name__]
    scan: Any = getattr(module, name)
    work = scan.add_best

    @functools.wraps(work)
    def noted_work(self: object, asked: Any, rows: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as it takes them)
        note(name, rows.num_rows)
        work(self, asked, rows, *args, **kwargs)
        if name == "DenseRanges" and (killed := os.environ.get("KILL_FILE")):
            end_once(f"{killed}-scan")

    scan.add_best = noted_work


def watch(module: ModuleType) -> None:
    if module.__name__ in SCANS:
        watch_scans(module)
        return
    name, call = MODELS[module.__name__]
    model: Any = getattr(module, name)
    load, work = model.__init__, getattr(model, call)

    @functools.wraps(load)
    def noted_load(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as it takes them)
        note("loaded", name)
        load(*args, **kwargs)

    @functools.wraps(work)
    def noted_work(self: object, texts: Sequence[str], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as it takes them)
        note(name, len(texts))
        if call == "score" and (killed := os.environ.get("KILL_FILE")):
            end_once(killed)
        if call == "score":
            time.sleep(float(os.environ.get("HOLD_SECONDS", "0")))
        return work(self, texts, *args, **kwargs)

    model.__init__ = noted_load
    setattr(model, call, noted_work)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of models as ever, and watches them when they have been loaded."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:  # noqa: ARG002 (as it is called)
        if fullname not in MODELS | SCANS:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        assert spec is not None
        assert spec.loader is not None
        run: Callable[[ModuleType], None] = spec.loader.exec_module

        def run_and_watch(module: ModuleType) -> None:
            run(module)
            watch(module)

        spec.loader.exec_module = run_and_watch  # type: ignore[method-assign]  # of this module's loader alone
        return spec


if "NOTES_FILE" in os.environ:
    sys.meta_path.insert(0, Finder())
