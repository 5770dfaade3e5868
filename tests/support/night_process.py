"""A process that runs nights in children of its own, each of which may be killed; driven line by line.

Heavy libraries are imported once, here, and every child starts with them: a night then takes a second, and
dozens can be killed in a test. A line on standard input is one night: {"settings_file": ...}, and of

    "kill_after_seconds"  how long after its first stage can begin the child is killed from outside
    "kill_before"         the name of a step in STEPS or one of its kin, or "kill_after" it: the child kills itself
                          right there
    "kill_at_call"        which call of that step it is, from 1; the first one unless it is said
    "journal"             a file to which the child adds a line for each stage it begins, and for each call of a model
                          with the number of texts or pairs that it is given
    "take_down"           a document: no night, but a takedown of it; with "erasing" an erasure
    "commit_rows"         chunks embedded, and "commit_pairs" pairs scored, between two commits

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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Not LanceDB, whose background thread would not be in the children; only what it imports.
HEAVY = (
    *("prefect.artifacts", "torch", "sentence_transformers", "transformers", "scipy.sparse", "ir_measures"),
    *("rank_bm25", "lance_namespace", "duckdb", "pyarrow.dataset", "pyarrow.fs", "pyarrow.parquet"),
)

# Every place where state changes outside the staging folder, and the first and last file inside it.
STEPS = {
    "staging": ("nightrank.storage.files.parquet", "RowWriter", "__init__"),
    "commit of vectors": ("nightrank.storage.lance.table", "ChunkTable", "add"),
    "commit of pair scores": ("nightrank.storage.memo.pair_scores", "PairMemo", "append"),
    "search cache": ("nightrank.tasks.snippets.answers", None, "write_results_file"),
    "tag": ("nightrank.storage.lance.table", "ChunkTable", "tag"),
    "commit_release": ("nightrank.tasks.stages.publish", None, "commit_release"),
    "pointer": ("nightrank.storage.workspace.base", "Workspace", "publish"),
}

# What a night does once it is published: a release, rows, tags, files and entries that nothing reaches go.
STEPS_OF_COLLECTING = {
    "collection": ("nightrank.tasks.stages.publish", None, "prune"),
    "rows": ("nightrank.storage.lance.prune", "ChunkPruning", "remove"),
    "tags": ("nightrank.storage.lance.prune", "ChunkPruning", "move_tags"),
    "leftovers": ("nightrank.storage.memo.prune", None, "remove_leftovers"),
    "memos": ("nightrank.storage.memo.prune", None, "keep_reachable"),
}

# Every place where a takedown changes something, and an erasure after it.
STEPS_OF_A_TAKEDOWN = {
    "replaced answers": ("nightrank.tasks.takedown.retract", None, "write_results_file"),
    "replaced answers named": ("nightrank.storage.workspace.folder", "FolderWorkspace", "share"),
    "list": ("nightrank.storage.workspace.folder", "FileToChange", "write"),
    "old answers": ("nightrank.storage.workspace.folder", "FolderWorkspace", "remove_files"),
}
STEPS_OF_AN_ERASURE = {
    "made again": ("nightrank.tasks.takedown.erase", None, "release_without"),
    "committed again": ("nightrank.tasks.takedown.erase", None, "commit_release"),
    "pointer again": ("nightrank.storage.workspace.base", "Workspace", "publish"),
    "releases": ("nightrank.storage.workspace.folder", "FolderWorkspace", "remove_release"),
    "texts": ("nightrank.storage.lance.prune", "ChunkPruning", "remove"),
    "tables": ("nightrank.storage.lance.prune", "ChunkPruning", "write_anew"),
    "scores": ("nightrank.storage.memo.prune", None, "keep_reachable"),
}

# Every write to an object store but LanceDB's own.
STEPS_OF_A_STORE = {
    "upload": ("nightrank.storage.bucket.store", "Remote", "upload"),
    "conditional write": ("nightrank.storage.bucket.store", "Remote", "write_if"),
    "delete": ("nightrank.storage.bucket.store", "Remote", "delete"),
}

# The calls of models, and what they are given.
MODELS = {
    "chunks": ("nightrank.tasks.embed.encoder", "Embedder", "embed_passages"),
    "pairs": ("nightrank.tasks.rerank.cross_encoder", "Reranker", "score"),
}

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    print("ready", flush=True)  # noqa: T201 (this is the protocol)
    for line in sys.stdin:
        order = json.loads(line)
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            _night(order, begins)
        os.close(begins)
        os.read(begun, 1)  # or the child has ended
        os.close(begun)
        start = time.monotonic()
        if (seconds := order.get("kill_after_seconds")) is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        answer = {"ended": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start}
        print(json.dumps(answer), flush=True)  # noqa: T201 (this is the protocol)


def _night(order: dict[str, Any], begins: int) -> None:
    code = 1
    try:
        from benchmarks.parts.plain_nights import refresh_plainly

        note = _prepare(order)
        os.write(begins, b".")
        if (document_id := order.get("take_down")) is not None:
            _take_down(Path(order["settings_file"]), document_id, erasing="erasing" in order)
        else:
            refresh_plainly(Path(order["settings_file"]), on_stage=lambda name: note("stage", name))
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        os._exit(code)


def _take_down(settings_file: Path, document_id: str, *, erasing: bool) -> None:
    from datetime import UTC, datetime

    from nightrank.flows.operate.retract import take_down
    from nightrank.flows.settings_file import load_settings

    done = take_down(load_settings(settings_file), [document_id], erasing=erasing, now=datetime.now(UTC))
    assert not done.failed, done.failed


def _prepare(order: dict[str, Any]) -> Callable[[str, str | int], None]:
    """Change this process as the order says; what comes back adds a line to the journal."""
    from nightrank.tasks.rerank import pairs as reranking
    from nightrank.tasks.stages import index as indexing

    indexing.COMMIT_ROWS = order.get("commit_rows", indexing.COMMIT_ROWS)
    reranking.COMMIT_PAIRS = order.get("commit_pairs", reranking.COMMIT_PAIRS)

    def note(kind: str, what: str | int) -> None:
        if (journal := order.get("journal")) is not None:
            with Path(journal).open("a", encoding="utf-8") as file:
                file.write(json.dumps([kind, what]) + "\n")

    for kind, call in MODELS.items():
        _wrap(*call, wrapper=_noted(note, kind))
    for when in ("before", "after"):
        if (step := order.get(f"kill_{when}")) is not None:
            _wrap(
                *{
                    **STEPS,
                    **STEPS_OF_COLLECTING,
                    **STEPS_OF_A_TAKEDOWN,
                    **STEPS_OF_AN_ERASURE,
                    **STEPS_OF_A_STORE,
                }[step],
                wrapper=_fatal(when, at_call=order.get("kill_at_call", 1)),
            )
    return note


def _wrap(module: str, owner: str | None, name: str, *, wrapper: Wrapper) -> None:
    """Put what the wrapper makes of a function in its place."""
    holder = importlib.import_module(module)
    if owner is not None:
        holder = getattr(holder, owner)
    setattr(holder, name, wrapper(getattr(holder, name)))


def _noted(note: Callable[[str, str | int], None], kind: str) -> Wrapper:
    def wrapper(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(model: object, texts: Sequence[str], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as it takes them)
            note(kind, len(texts))
            return work(model, texts, *args, **kwargs)

        return noted

    return wrapper


def _fatal(when: str, *, at_call: int) -> Wrapper:
    def wrapper(work: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        def fatal(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the work takes them)
            nonlocal calls
            calls += 1
            if when == "before" and calls == at_call:
                os.kill(os.getpid(), signal.SIGKILL)
            outcome = work(*args, **kwargs)
            if when == "after" and calls == at_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return outcome

        return fatal

    return wrapper


if __name__ == "__main__":
    main()
