"""Erasing: what was taken down leaves the workspace's bytes, and a search of these proves it.

The live release is made again without it from its own files, and published; every other release that holds a trace of
it goes; then what only they reached goes from LanceDB and the memos, whose files are written anew. Each step leaves a
whole workspace, so that a process that is killed in between has lost nothing, and the same command goes on.

A text that another document says, too, stays: texts are stored once, by what they say. An id stays in the list of what
was taken down: by it nights know what to leave out.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.lance.table import ChunkTable, vectors_of
from nightrank.storage.memo.answers import forget_documents
from nightrank.storage.records import asked_by_people
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import commit_release, digests_of, list_releases, new_release_id
from nightrank.storage.release.prune import prune
from nightrank.storage.retracted.listed import LIST
from nightrank.storage.retracted.traces import VECTOR_BYTES, Needles, snippets_of, still_said, traces_in
from nightrank.storage.sources.kept import FOLDER, forget_places
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.takedown.retract import publish_without_retracted, put_in_order
from nightrank.tasks.takedown.rewrite import release_without

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace

FILES_NAMED = 10  # in which something was found


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    Attributes:
        release_id: The release that readers see now; None before the first.
        rewritten: The one that it was made from, where that held a trace; None where it did not.
        releases_removed: Ids.
        looked_for: How many ids, parts of texts, keys and vectors were looked for, by kind.
        shared_texts: Texts that other documents say as well: they stay.
        shared_parts: Parts of texts that others, or queries, say as well: they prove nothing, and are not looked for.
        files_searched: Files, in the workspace and in the local copy of one in a bucket.
        bytes_searched: Of them.
        found_before: Files that held something, by kind.
        found_after: Likewise, when all was done; empty where nothing is left.
        left_in: The first few files that still hold something.
        waiting_for_readers: Whether somebody is reading LanceDB's tables, so that old files of theirs stay.
    """

    release_id: str | None
    rewritten: str | None
    releases_removed: tuple[str, ...]
    looked_for: Mapping[str, int]
    shared_texts: int
    shared_parts: int
    files_searched: int
    bytes_searched: int
    found_before: Mapping[str, int]
    found_after: Mapping[str, int]
    left_in: tuple[str, ...]
    waiting_for_readers: bool

    def as_json(self) -> dict[str, JsonValue]:
        """The same names."""
        return {**asdict(self)}


@dataclass(frozen=True, slots=True)
class _Search:
    """What a search of every file of the workspace found: files by kind, and the releases among them."""

    kinds: Counter[str]
    files: tuple[str, ...]
    releases: frozenset[str]
    searched: int
    size_bytes: int


def erase(workspace: Workspace, documents: Sequence[str], *, keep: int, now: datetime) -> Erased:
    """Erase documents that were taken down.

    Args:
        workspace: Held as its one writer.
        documents: Their ids.
        keep: Accepted releases that are kept, as far as they hold no trace.
        now: When.

    Raises:
        MachineError: A release or a store cannot be read or written; run again to go on.
    """
    workspace.hold_memos()
    forget_documents(workspace.memo, documents)
    releases = list_releases(workspace)
    needles, shared_texts, shared_parts = _needles(workspace, releases, documents)
    before = _search(workspace, needles)
    live = workspace.current_release_id()
    rewritten = live if live in before.releases else None
    if rewritten is not None:
        live = _publish_without(workspace, rewritten, documents, now=now)
    removed = [manifest.release_id for manifest in releases if manifest.release_id in before.releases]
    for release_id in removed:
        workspace.remove_release(release_id)
    put_in_order(workspace, now=now)
    # The next night fetches its source again, and keeps nothing of what is taken down.
    forget_places(workspace.root / FOLDER)
    workspace.forget_removed()
    waiting = prune(workspace, keep=keep, now=now, thorough=True).waiting_for_readers if live is not None else False
    after = _search(workspace, needles)
    looked_for = {
        "ids": len(needles.ids),
        "texts": len(needles.texts),
        "keys": len(needles.keys),
        "vectors": len(needles.vectors),
    }
    return Erased(
        release_id=live,
        rewritten=rewritten,
        releases_removed=tuple(removed),
        looked_for=looked_for,
        shared_texts=shared_texts,
        shared_parts=shared_parts,
        files_searched=after.searched,
        bytes_searched=after.size_bytes,
        found_before=dict(sorted(before.kinds.items())),
        found_after=dict(sorted(after.kinds.items())),
        left_in=after.files[:FILES_NAMED],
        waiting_for_readers=waiting,
    )


def _publish_without(workspace: Workspace, release_id: str, documents: Collection[str], *, now: datetime) -> str:
    """Make the live release again without the documents, and have readers see that; its id."""
    made = new_release_id(now)
    staging = workspace.staging(made)
    staging.mkdir(parents=True)
    try:
        release = StoredRelease.open(workspace, release_id)
        manifest = release_without(release, documents, staging, release_id=made, now=now)
        release.chunk_table().tag(made)
        commit_release(workspace, manifest.model_copy(update={"files": digests_of(staging)}), staging=staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    publish_without_retracted(workspace, made, now=now)
    return made


def _needles(workspace: Workspace, releases: Sequence[Manifest], documents: Sequence[str]) -> tuple[Needles, int, int]:
    """What is looked for; how many texts other documents say, and how many parts of texts these or queries say."""
    texts: dict[str, None] = {}
    keys: dict[str, None] = {}
    vectors: dict[bytes, None] = {}
    shared: set[str] = set()
    others_say: frozenset[str] = frozenset()
    for manifest in releases:
        files = ReleaseFiles.of(workspace, manifest.release_id, only=[ReleaseFiles.statistics, ReleaseFiles.queries])
        gone, others = _texts_of(files, documents)
        shared |= set(others.to_pylist())
        if not len(gone):
            continue
        table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=manifest.release_id)
        parts: dict[str, None] = {}
        for batch in table.batches(gone, ["text", "vector"]):
            keys |= dict.fromkeys(batch.column("chunk_hash").to_pylist())
            rows = vectors_of(batch, table.dimensions)
            vectors |= {row.tobytes()[:VECTOR_BYTES]: None for row in rows if row.any()}
            for text in batch.column("text").to_pylist():
                parts |= dict.fromkeys(snippets_of(text))
        others_say |= still_said(parts, chain(_other_texts(table, gone), _queries_of(files)))
        texts |= parts
    wanted = tuple(part for part in texts if part not in others_say)
    return Needles(tuple(documents), wanted, tuple(keys), tuple(vectors)), len(shared), len(others_say)


def _other_texts(table: ChunkTable, gone: pa.Array) -> Iterator[pa.Array]:
    """The texts of a table that stay."""
    for batch in table.stream(["chunk_hash", "text"]):
        yield batch.filter(pc.invert(pc.is_in(batch.column("chunk_hash"), value_set=gone))).column("text")


def _queries_of(files: ReleaseFiles) -> Iterator[pa.Array]:
    """What visitors asked a release, which may be a document's own words."""
    queries = files.queries.read()
    queries = queries.filter(pa.array(asked_by_people(queries)))
    yield from queries.column("text").chunks
    if "aliases" in queries.schema.names:  # older releases have none
        yield from (chunk.flatten() for chunk in queries.column("aliases").chunks)


def _texts_of(files: ReleaseFiles, documents: Collection[str]) -> tuple[pa.Array, pa.Array]:
    """The hashes of the texts that only these documents say in a release, and of those that others say as well."""
    with Bm25Store.open(files.statistics.path) as store:
        chunks = store.chunks(["document_id", "chunk_hash"])
    is_gone = pc.is_in(chunks.column("document_id"), value_set=pa.array(sorted(documents), pa.string()))
    gone = pc.unique(chunks.column("chunk_hash").filter(is_gone))
    is_shared = pc.is_in(gone, value_set=pc.unique(chunks.column("chunk_hash").filter(pc.invert(is_gone))))
    return gone.filter(pc.invert(is_shared)), gone.filter(is_shared)


def _search(workspace: Workspace, needles: Needles) -> _Search:
    """Look into every file of the workspace, but for the list itself."""
    kinds: Counter[str] = Counter()
    files, releases = [], set()
    searched = size_bytes = 0
    for name, path in workspace.every_file():
        searched += 1
        size_bytes += path.stat().st_size
        if name == LIST:
            continue
        found = traces_in(path, needles)
        kinds.update(found)
        if found:
            files.append(f"{name} ({', '.join(sorted(found))})")
            parts = name.split("/")
            if len(parts) > 2 and parts[0] == "releases":
                releases.add(parts[1])
    return _Search(kinds, tuple(files), frozenset(releases), searched, size_bytes)
