"""What a takedown must leave, worked out from a release's candidates without the code that is tested."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.retract import take_down
from nightrank.flows.settings_file import load_settings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nightrank.flows.operate.retract import TakenDown
    from nightrank.storage.serving.reader import ResultsReader
    from nightrank.storage.workspace.base import Workspace
    from tests.support.collection import Collection

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DEPTH = 10


def copy_of(published: Collection, folder: Path) -> Collection:
    """The same collection with its workspace, to be changed."""
    shutil.copytree(published.folder, folder)
    return replace(
        published,
        folder=folder,
        settings=copy.deepcopy(published.settings),
        documents=copy.deepcopy(published.documents),
    )


def night(collection: Collection) -> str:
    """Run a night on what the collection holds now; the release that readers see then."""
    collection.write()
    refresh_plainly(collection.settings_file)
    return FolderWorkspace(collection.workspace).require_current()


def taken_down(
    collection: Collection, *ids: str, reason: str = "a letter", undo: bool = False, erasing: bool = False
) -> TakenDown:
    """Take documents down as the command does, or bring them back."""
    configuration = load_settings(collection.settings_file)
    return take_down(configuration, ids, reason=reason, undo=undo, erasing=erasing, now=datetime.now(UTC))


def answered(reader: ResultsReader, collection: Collection) -> dict[str, list[str]]:
    """The documents that every query of the log is answered with, by its text."""
    found = [reader.get(text) for _, text, _ in collection.log]
    return {of.query: [result.document_id for result in of.results] for of in found if of is not None}


def answers(collection: Collection) -> dict[str, list[str]]:
    """What a reader that opens the workspace now gets."""
    with SearchCache.open(collection.workspace) as cache:
        return answered(cache, collection)


def wanted(workspace: Workspace, release_id: str, without: Iterable[str]) -> dict[str, list[str]]:
    """What a release must answer without some documents: the first ten of the others, in their final order."""
    files, gone = ReleaseFiles.of(workspace, release_id), set(without)
    texts = dict(
        zip(*(files.queries.read([name]).column(0).to_pylist() for name in ("query_key", "text")), strict=True)
    )
    found: dict[str, list[str]] = {text: [] for text in texts.values()}
    settings = Settings.model_validate(read_manifest(workspace, release_id).settings)
    for row in sorted(files.candidates.read().to_pylist(), key=lambda row: (row["query_key"], row["rank"])):
        ranking = found[texts[row["query_key"]]]
        is_candidate = row["fused_rank"] <= settings.retrieval.candidate_depth
        if is_candidate and row["document_id"] not in gone | set(ranking) and len(ranking) < DEPTH:
            ranking.append(row["document_id"])
    return found
