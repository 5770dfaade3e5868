"""The list of what was taken down, changed: each change holds the list, and what readers get is whole before it.

No lock of the workspace is needed, so a night that is at work holds nothing up. A process that is killed leaves the
list as it was, or as it is to be; what else it left the next one removes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from nightrank.storage.errors import InputError, NightrankError, reason_of
from nightrank.storage.files.atomic import remove_unfinished, replacing
from nightrank.storage.keys import digest, sha256_of_file
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.retracted.listed import LIST, Replaced, Retracted, Retraction, decode_retracted
from nightrank.storage.workspace.base import ANSWERS
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.takedown.answers import answers_without

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from nightrank.storage.workspace.base import SmallFile, Workspace


class Changed(NamedTuple):
    """What a change of the list came to.

    Attributes:
        retracted: The list now.
        release_id: The release that readers see; None before the first.
        held: Those of the documents in question that it holds.
        listed: Those that were on the list before.
        unfilled: Why answers do not fill up from the candidates behind, where they do not: they are shorter.
    """

    retracted: Retracted
    release_id: str | None
    held: frozenset[str]
    listed: frozenset[str]
    unfilled: str | None = None

    @property
    def replaced(self) -> int:
        """How many answers of the release that readers see are others than it holds."""
        return 0 if self.release_id is None else self.retracted.releases.get(self.release_id, Replaced()).queries


def retract(workspace: Workspace, documents: Collection[str], retraction: Retraction, *, now: datetime) -> Changed:
    """Take documents down. Those that are down already stay as they are.

    Args:
        workspace: Where.
        documents: Ids, in the collection or not.
        retraction: When, by whom, and why.
        now: When.

    Raises:
        MachineError: The list cannot be read or written; nothing has changed.
        WorkspaceBusy: Others have held the list for too long.
    """
    wanted = dict.fromkeys(documents, retraction)
    return _change(workspace, lambda listed: {**wanted, **listed}, wanted, now=now)


def put_in_order(workspace: Workspace, *, now: datetime) -> Changed:
    """Write anew what the release that readers see answers without what is taken down; what no release needs goes."""
    return _change(workspace, dict, (), now=now)


def bring_back(workspace: Workspace, documents: Collection[str], *, now: datetime) -> Changed:
    """Take documents off the list.

    Raises:
        InputError: One is not on it; nothing has changed.
        MachineError: As for ``retract``.
    """

    def left(listed: Mapping[str, Retraction]) -> dict[str, Retraction]:
        missing = [document_id for document_id in documents if document_id not in listed]
        if missing:
            message = f"{len(missing)} of these documents were not taken down, {missing[0]!r} among them."
            raise InputError(message, remedy="`nightrank retract --list` says which were.")
        return {document_id: said for document_id, said in listed.items() if document_id not in documents}

    return _change(workspace, left, documents, now=now)


def publish_without_retracted(workspace: Workspace, release_id: str, *, now: datetime) -> str | None:
    """Make a release the one that readers see, and never with what was taken down, however long ago it was begun.

    Args:
        workspace: Held as its one writer.
        release_id: Of the release, which is committed.
        now: The time that the pointer carries.

    Returns:
        Why its answers are shorter without what was taken down, where they do not fill up.

    Raises:
        MachineError: The list cannot be read or written, or as ``Workspace.publish`` has it; the pointer stays.
    """
    unfilled = None
    with _holding(workspace, now=now):
        stored = workspace.change(LIST)
        listed = decode_retracted(stored.data, where=f"{workspace}/{LIST}")
        if listed.documents and release_id not in listed.releases:
            _, unfilled = _write(workspace, stored, listed.documents, seen=release_id, kept=listed.releases)
        workspace.publish(release_id, now=now)
    return unfilled


def documents_in(workspace: Workspace, release_id: str, documents: Iterable[str]) -> frozenset[str]:
    """Those of some documents that a release was made from."""
    wanted = pa.array(sorted(documents), pa.string())
    if not len(wanted):
        return frozenset()
    files = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.documents])
    return frozenset(files.documents.read_rows("document_id", wanted).column("document_id").to_pylist())


def _holding(workspace: Workspace, *, now: datetime) -> AbstractContextManager[None]:
    return workspace.holding(LIST, what="the list of retracted documents", now=now)


def _change(
    workspace: Workspace,
    change: Callable[[Mapping[str, Retraction]], Mapping[str, Retraction]],
    documents: Collection[str],
    *,
    now: datetime,
) -> Changed:
    with _holding(workspace, now=now):
        stored = workspace.change(LIST)
        listed = decode_retracted(stored.data, where=f"{workspace}/{LIST}")
        wanted = change(listed.documents)
        seen = workspace.current_release_id()
        unfilled = None
        before = listed.documents.keys()
        if wanted or stored.data is not None:
            kept = listed.releases if documents and wanted.keys() == before else {}
            listed, unfilled = _write(workspace, stored, wanted, seen=seen, kept=kept)
        held = frozenset[str]()
        if seen is not None:
            with suppress(OSError, NightrankError):  # what is taken down is down, whatever the release says of itself
                held = documents_in(workspace, seen, documents)
        return Changed(listed, seen, held, frozenset(documents) & before, unfilled)


def _write(
    workspace: Workspace,
    stored: SmallFile,
    documents: Mapping[str, Retraction],
    *,
    seen: str | None,
    kept: Mapping[str, Replaced],
) -> tuple[Retracted, str | None]:
    """Write the list, once what is answered without it is there; then remove what no list names any more.

    Args:
        workspace: Whose list is held.
        stored: The list as it was.
        documents: What is taken down now.
        seen: The release that readers see, or are about to.
        kept: What releases answer without these very documents, as far as that is known.

    Returns:
        The list, and why answers of that release do not fill up, where they do not.
    """
    there = set(workspace.release_ids())
    releases = {release_id: replaced for release_id, replaced in kept.items() if release_id in there}
    unfilled = None
    if documents and seen is not None and seen not in releases:
        try:
            releases[seen] = _replaced(workspace, seen, documents)
        except Exception as error:  # whatever is wrong with a release, what is taken down is shown no more
            unfilled = reason_of(error)
    remove_unfinished(workspace.root, LIST)
    text = Retracted(dict(documents), releases).to_json()
    if text.encode() != stored.data:
        stored.write(text)
    _remove_unnamed(workspace, {replaced.file for replaced in releases.values()})
    return decode_retracted(text.encode(), where=f"{workspace}/{LIST}"), unfilled


def _replaced(workspace: Workspace, release_id: str, documents: Collection[str]) -> Replaced:
    """What a release answers without the listed documents, written and shared."""
    with workspace.reading():
        answers = answers_without(StoredRelease.open(workspace, release_id), documents)
    if not answers.rows:
        return Replaced()
    # Named by what it says: who writes it again, after a kill, writes the same.
    name = f"{release_id}-{digest(*(part for row in answers.rows for part in row))}.sqlite"
    path = workspace.root / ANSWERS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write_results_file(temporary, answers.rows, aliases=answers.aliases)
    workspace.share(f"{ANSWERS}/{name}")
    return Replaced(name, sha256_of_file(path), len(answers.rows))


def _remove_unnamed(workspace: Workspace, named: Collection[str | None]) -> None:
    """Remove replaced answers that the list does not name; a reader that was about to open them looks again."""
    remove_unfinished(workspace.root / ANSWERS)
    workspace.remove_files([f"{ANSWERS}/{name}" for name in workspace.files_in(ANSWERS) if name not in named])
