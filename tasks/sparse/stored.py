"""A learned sparse encoder with its vectors of a collection, for who is not the night: open to be read, and no more."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.memo.prune import SPARSE_TEXTS, memo_path
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.tasks.sparse.encoder import SparseEncoder, plan_sparse
from nightrank.tasks.sparse.retrieve import StoredSparseVectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparsePlan


@dataclass(frozen=True, slots=True, eq=False)
class StoredSparse:
    """An encoder, for queries, and what it made of the texts."""

    encoder: SparseEncoder
    vectors: StoredSparseVectors


def planned_sparse(settings: Settings, *, base: Path) -> SparsePlan | None:
    """The sparse encoder that settings ask for; None where no leg of our own needs one.

    Args:
        settings: Which.
        base: The folder that its path may be relative to.

    Raises:
        InputError: The model or the device is not there.
    """
    if "sparse" not in settings.retrieval.own_legs:
        return None
    return plan_sparse(settings.sparse, settings.execution, base=base)


@contextmanager
def open_sparse(plan: SparsePlan | None, settings: Settings, *, memos: Path) -> Iterator[StoredSparse | None]:
    """An encoder with the vectors of texts in a folder of memos; None without one.

    Args:
        plan: The encoder.
        settings: How it runs.
        memos: The folder; the encoder's memo must be in it.

    Raises:
        WorkspaceBusy: A refresh is writing the memo, for a minute and more.
    """
    if plan is None:
        yield None
        return
    execution = settings.execution
    with SparseMemo(memos, "texts", encoder=plan.fingerprint, read_only=True) as memo:
        encoder = SparseEncoder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
        yield StoredSparse(encoder, StoredSparseVectors(memo))


@contextmanager
def stored_sparse(
    settings: Settings, workspace: Workspace, *, made_with: str, base: Path
) -> Iterator[StoredSparse | None]:
    """The same over a workspace that somebody else may be writing; None where settings ask for no such leg.

    Args:
        settings: Which encoder, and how it runs.
        workspace: Whose memo.
        made_with: Fingerprint of the encoder that the release was made with.
        base: The folder that a model's path may be relative to.

    Raises:
        InputError: The model is not there, or the release was made with another one.
        WorkspaceBusy: A refresh is writing the memo, for a minute and more.
    """
    plan = planned_sparse(settings, base=base)
    if plan is not None and plan.fingerprint != made_with:
        message = "The release was made with another sparse encoder than the settings name, or with none."
        raise InputError(message, remedy="Run `nightrank refresh` first.")
    with tempfile.TemporaryDirectory() as scratch:
        memos = workspace.memo
        if plan is not None:
            path = memo_path(workspace.memo, SPARSE_TEXTS, plan.fingerprint)
            memos = workspace.memo_to_read(path, scratch=Path(scratch)).parent
        with open_sparse(plan, settings, memos=memos) as sparse:
            yield sparse
