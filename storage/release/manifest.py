"""Releases: immutable outcomes of runs, named by a manifest that is written last."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.files.atomic import sync_all, write_text
from nightrank.storage.files.listing import files_below
from nightrank.storage.judged import JudgedBy
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.release.files import ReleaseFiles

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace


# What lists say in the mean over a release's log, by list, in the order of ``tasks.rank.lists.DESCRIPTORS``.
LogMeans: TypeAlias = dict[str, tuple[float, ...]]


NOT_COMPARED = "not compared: "  # begins the reason of a gate that had nothing to compare with


class _Record(BaseModel):
    # A gate's value may be infinite, which JSON has no number for: without "strings" it becomes null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Inputs(_Record):
    """Digests of everything that decides what a release holds; equal inputs, equal release."""

    documents: str
    queries: str
    judgments: str
    settings: str
    chunking: str
    embedder: str
    sparse: str = "none"  # the learned sparse encoder's fingerprint, where there is such a leg
    reranker: str
    analysis: str
    pipeline: str
    order: str = "weighted"  # the learned order's fingerprint, or this

    @property
    def reranker_fingerprint(self) -> str:
        """The reranker's own, without its weight, which is no part of what it says of a pair."""
        return self.reranker.partition(" at ")[0]

    @property
    def reranker_weight(self) -> float:
        """Its weight against the first stage; 0 where there is no reranker."""
        return float(self.reranker.partition(" at ")[2] or 0.0)


class Counts(_Record):
    """How much of what a run saw and did; the same names as in ``refresh --json``."""

    documents: int
    documents_added: int
    documents_edited: int
    documents_metadata: int  # other metadata alone, which costs no model call
    documents_removed: int
    documents_bad: int
    documents_retracted: int = 0  # that the source has and that were taken down; they are left out
    chunks: int
    texts: int  # distinct ones among the chunks
    chunks_embedded: int
    vectors_checked: int  # stored ones that were computed again and agreed
    postings_written: int
    queries: int
    queries_from_documents: int = 0  # that documents asked, and nobody else
    queries_bad: int
    queries_judged: int
    queries_embedded: int
    queries_scanned: int  # whose dense leg needed the whole collection
    pairs: int
    pairs_scored: int
    scores_checked: int  # stored ones that were computed again and agreed
    pairs_left: int = 0  # without a score, because no more was to be spent on a hosted reranker
    snippets_made: int = 0  # of results; the others were taken over from the release before
    queries_left: int = 0  # that are ordered without the reranker for that
    sparse_texts: int = 0  # distinct ones that the learned sparse leg reads; none where it is off
    sparse_texts_encoded: int = 0
    sparse_queries_encoded: int = 0
    sparse_queries_scanned: int = 0  # whose sparse leg needed the whole collection
    searches: int = 0  # that a hosted reranker's provider billed


class Gate(_Record):
    """A check that a release must pass before it is published.

    Attributes:
        accepted: Whether it was overridden on purpose, and the release published although it failed.
    """

    name: str
    passed: bool
    value: float
    threshold: float
    reason: str
    accepted: bool = False

    @classmethod
    def not_compared(cls, name: str, why: str, *, value: float, threshold: float) -> Self:
        """One that passes, because there is nothing to compare with.

        Args:
            name: Of the gate.
            why: There is nothing.
            value: What stands in place of one.
            threshold: Of the gate.
        """
        return cls(name=name, passed=True, value=value, threshold=threshold, reason=f"{NOT_COMPARED}{why}")

    @property
    def why_not_compared(self) -> str | None:
        """Why there was nothing to compare with; None where there was."""
        return self.reason.removeprefix(NOT_COMPARED) if self.reason.startswith(NOT_COMPARED) else None

    @property
    def lets_through(self) -> bool:
        """Whether it is no obstacle: passed, or overridden on purpose."""
        return self.passed or self.accepted


class ChunkTableVersion(_Record):
    """The LanceDB table and version that hold a release's chunks."""

    name: str
    version: int


class KnownItemsMeasured(_Record):
    """What a release is worth by known items: beside the judgments, and never mixed with them.

    Attributes:
        titles: Items that are titles.
        headings: That are headings.
        sentences: That are sentences.
        embedded: Masked copies that were embedded now.
        pairs_scored: Pairs that the reranker scored now.
        measures: Means by stage and measure.
    """

    titles: int
    headings: int
    sentences: int
    embedded: int
    pairs_scored: int
    measures: dict[str, dict[str, float]]

    @property
    def items(self) -> int:
        """All of them."""
        return self.titles + self.headings + self.sentences


class Manifest(_Record):
    """What a release is; the last file written into it."""

    release_id: str
    created_at: datetime
    status: Literal["accepted", "rejected"]
    previous: str | None
    nightrank: str
    inputs: Inputs
    settings: dict[str, JsonValue]
    chunk_table: ChunkTableVersion
    counts: Counts
    seconds: dict[str, float]
    measures: dict[str, dict[str, float]]
    judged_by: JudgedBy | None = None  # what the measures rest on; None without any, and where people judged, formerly
    known_items: KnownItemsMeasured | None = None
    gates: list[Gate]
    account: dict[str, dict[str, int]] = {}  # totals of account.parquet, by part and kind
    log_means: LogMeans = {}  # empty where plain weights order
    order_model: dict[str, JsonValue] = {}  # the learned order's numbers; likewise
    erased: int = 0  # documents taken out of it after it was made: the next night makes anew what they left
    files: dict[str, str]  # name: SHA-256


def new_release_id(now: datetime) -> str:
    """Sortable by time, in UTC, to the millisecond: ``20260102T030405-678Z``.

    Args:
        now: With its time zone.
    """
    at = now.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}-{at.microsecond // 1000:03d}Z"


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a release but its manifest, by name."""
    return {
        path.relative_to(folder).as_posix(): sha256_of_file(path)
        for path in sorted(files_below(folder))
        if path.name != ReleaseFiles.manifest.name
    }


def commit_release(workspace: Workspace, manifest: Manifest, *, staging: Path) -> Path:
    """Write the manifest into a staging folder and give the folder its release's name.

    Returns:
        The folder of the release.
    """
    sync_all(staging)
    write_text(ReleaseFiles(staging).manifest.path, manifest.model_dump_json(indent=2) + "\n")
    return workspace.adopt(manifest.release_id, staging)


def read_manifest(workspace: Workspace, release_id: str) -> Manifest:
    """The manifest of a release.

    Raises:
        InputError: There is no such release.
        MachineError: Its manifest cannot be read.
    """
    written = workspace.manifest_of(release_id)
    if written is None:
        message = f"There is no release {release_id!r} in {workspace}."
        raise InputError(message, remedy="`nightrank releases` lists what there is.")
    path = f"{workspace}/releases/{release_id}/{ReleaseFiles.manifest.name}"
    try:
        manifest = Manifest.model_validate_json(written)
    except ValidationError as error:
        message = f"{path} is not a manifest that this version can read: {error.error_count()} faults."
        raise MachineError(
            message,
            remedy="Use the version that wrote it, roll back to a release by its id, or start a new workspace.",
        ) from error
    if manifest.release_id != release_id:
        message = f"{path} is the manifest of another release, {manifest.release_id!r}."
        raise MachineError(message, remedy="Give the folder its own name or manifest again.")
    return manifest


def current_manifest(workspace: Workspace) -> Manifest | None:
    """The manifest of the release that readers see, or None before the first."""
    release_id = workspace.current_release_id()
    return None if release_id is None else read_manifest(workspace, release_id)


def list_releases(workspace: Workspace) -> list[Manifest]:
    """The manifests of all committed releases, oldest first; a folder without a manifest is no release.

    Raises:
        MachineError: A manifest cannot be read.
    """
    return [read_manifest(workspace, release_id) for release_id in workspace.release_ids()]


def readable_and_damaged(workspace: Workspace) -> tuple[list[Manifest], dict[str, str]]:
    """The releases as ``list_releases`` has them, where a manifest that cannot be read hides no other.

    Returns:
        The manifests that can be read, oldest first, and what is wrong with the others, by release id.
    """
    manifests: list[Manifest] = []
    damaged: dict[str, str] = {}
    for release_id in workspace.release_ids():
        try:
            manifests.append(read_manifest(workspace, release_id))
        except (NightrankError, OSError) as error:
            damaged[release_id] = error.message if isinstance(error, NightrankError) else str(error)
    return manifests, damaged


def size_bytes(workspace: Workspace, release_id: str) -> int:
    """The bytes of a release's own files (its chunks' vectors lie in LanceDB, shared between releases)."""
    return workspace.size_bytes(workspace.releases / release_id)


def settings_as_json(settings: BaseModel) -> dict[str, JsonValue]:
    """A settings model, or a record of a manifest, as the JSON value that a manifest keeps."""
    value: dict[str, JsonValue] = json.loads(settings.model_dump_json())
    return value
