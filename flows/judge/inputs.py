"""What is judged: releases whose stages are compared, queries, the pool of their results; and what people said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.judge.pool import depth_of, pool, pooled_queries, systems
from nightrank.tasks.read.account import Account
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.trec.qrels import judgments_of, read_judgments

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import Judgment
    from nightrank.tasks.judge.pool import Pooled
    from nightrank.tasks.trec.runs import Entry

PEOPLE, MODEL, CLICKS = "people.tsv", "model.tsv", "clicks.tsv"
WRITTEN = (PEOPLE, MODEL, CLICKS)


@dataclass(frozen=True, slots=True)
class ToJudge:
    """What is judged.

    Attributes:
        release: Whose texts are read.
        pooled: Queries and documents, those that come first at the head.
        runs: Of every stage of every release that is compared.
        measure: By which stages are compared.
    """

    release: StoredRelease
    pooled: Sequence[Pooled]
    runs: Mapping[str, Sequence[Entry]]
    measure: str


def folder_of(configuration: Configuration) -> Path:
    """The folder of what was judged."""
    return configuration.base / configuration.settings.judge.folder


def to_judge(
    configuration: Configuration, *, releases: Sequence[str], queries: int, first: Collection[str] = ()
) -> ToJudge:
    """What is judged, by the releases that are compared.

    To be called while the workspace is being read.

    Args:
        configuration: Settings, and where they are.
        releases: Ids of others beside the current one.
        queries: Queries at most.
        first: Ids of queries that come first, beyond those.

    Raises:
        InputError: There is no such release, or nothing to judge.
    """
    settings, workspace = configuration.settings, configuration.workspace
    current = StoredRelease.open(workspace)
    others = [release_id for release_id in dict.fromkeys(releases) if release_id != current.release_id]
    compared = [current, *(StoredRelease.open(workspace, release_id) for release_id in others)]
    asked = pooled_queries(current, most=queries, first=first)
    ignore = settings.judgments.ignore_identical_ids
    runs = systems(compared, asked, ignore_identical_ids=ignore)
    depth = settings.judge.depth or depth_of(settings.gates.measure, results=current.settings.results.depth)
    retracted = read_retracted(workspace).documents.keys()
    found = [query for query in pool(compared, asked, runs, depth=depth, retracted=retracted) if query.documents]
    if not found:
        message = f"The release {current.release_id} has no result that could be judged."
        raise InputError(message, remedy="Run `nightrank refresh` with documents and queries first.")
    return ToJudge(current, found, runs, settings.gates.measure)


def judged_by_people(configuration: Configuration) -> list[Judgment]:
    """What people judged: in the file of the settings, where that is people's, and in this program's page."""
    found: dict[tuple[str, str], Judgment] = {}
    settings, base = configuration.settings.judgments, configuration.base
    # A file in our own folder may be named before it is there, or when all that it held was taken back.
    waits = settings.qrels is not None and _is_ours_to_write(base / settings.qrels, folder_of(configuration))
    named = [] if waits else judgments_of(settings, base=base, account=Account())
    for judgment in [*(one for one in named if one.judged_by == "people"), *judged_in(configuration, PEOPLE)]:
        found.setdefault((judgment.query_id, judgment.document_id), judgment)
    return list(found.values())


def _is_ours_to_write(path: Path, folder: Path) -> bool:
    return path.name in WRITTEN and path.parent.resolve() == folder.resolve() and not path.exists()


def judged_in(configuration: Configuration, name: str) -> list[Judgment]:
    """The judgments of a file in the folder of what was judged; none where it is not there."""
    path = folder_of(configuration) / name
    if not path.is_file():
        return []
    return read_judgments(path, name=f"{configuration.settings.judge.folder}/{name}", account=Account())
