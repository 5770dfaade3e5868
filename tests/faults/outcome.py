"""What must hold after a disturbed command: readers read, the next run ends as undisturbed, and one line was told."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.commands import EXPORTS, PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.parts.compare_releases import Entry
    from nightrank.storage.workspace.base import Workspace


class Tried(NamedTuple):
    """What came of a failure.

    Attributes:
        point: Where it was, and what.
        failure: What.
        met: Whether the command came to it.
        told: What the command said, where it said anything.
        faults: What did not hold; nothing where all is well.
    """

    point: str
    failure: str
    met: bool
    told: str
    faults: list[str]


def kept_out(code: int, told: str) -> bool:
    """Whether a command had nothing to do because the disturbed one had done it already."""
    return code == 2 and "is the current one already" in told


def faults_of_message(code: int, written: str, *, may_be_the_users: bool) -> list[str]:
    """What is wrong with how a command ended that met a failure.

    Args:
        code: Its exit code.
        written: To standard error.
        may_be_the_users: Whether what failed is what the user gave, or may not be touched by this user.
    """
    if code == 0:
        return [] if "Traceback" not in written else ["a traceback beside exit code 0"]
    if code not in {1, 2} or (code == 2 and not may_be_the_users):
        return [f"exit code {code}"]
    lines = written.strip("\n").split("\n")
    if len(lines) != 2 or not lines[0].startswith("nightrank: ") or not lines[1].startswith("  "):
        return [f"{len(lines)} lines instead of what, where and what to do"]
    if not re.search(r"(^|[\s'\"(])/\w|://|\b[\w-]+\.\w+\b|(^|\s)\.\w", lines[0].removeprefix("nightrank: ")):
        return ["it does not say where"]
    return []


class State(NamedTuple):
    """What a project holds, in a form that two projects can be compared by."""

    current: str | None
    releases: int
    files: frozenset[str]
    promoted: str
    settings: dict[str, object]
    exported: dict[str, list[tuple[object, ...]]]


def faults_of_readers(folder: Path) -> list[str]:
    """What readers of the live release would meet now, in a project in which one may be live.

    Args:
        folder: Of the trial.
    """
    from nightrank.flows.settings_file import load_settings
    from nightrank.storage.files.parquet import read_table
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.files import ReleaseFiles
    from nightrank.storage.release.manifest import current_manifest
    from nightrank.storage.release.whole import file_faults

    workspace = load_settings(folder / PROJECT / "nightrank.toml").workspace
    with workspace.reading():
        manifest = current_manifest(workspace)
        if manifest is None:
            return []
        release = workspace.release(manifest.release_id)
        faults = [f"{fault.what}: {fault.examples}" for fault in file_faults(release, manifest)]
        hashes = read_table(ReleaseFiles(release).candidates.path).column("chunk_hash").unique()
        table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=manifest.release_id)
        if table.rows(hashes, ["vector"]).num_rows != len(hashes):
            faults.append("vectors are missing")
        if len(_results(workspace)) != manifest.counts.queries:
            faults.append("queries are missing")
    for name in EXPORTS:
        if (folder / PROJECT / name).exists():
            _ = _exported(folder / PROJECT / name)
    return [f"of the live release: {fault}" for fault in faults]


def differences(folder: Path, undisturbed: Path) -> list[str]:
    """In what a project differs from one in which the same command was not disturbed.

    Args:
        folder: Of the trial.
        undisturbed: Of the other.
    """
    from benchmarks.parts.compare_releases import compare_releases
    from nightrank.flows.settings_file import load_settings

    ours, theirs = (load_settings(path / PROJECT / "nightrank.toml").workspace for path in (folder, undisturbed))
    faults = []
    comparison = compare_releases(ours, theirs)
    if not comparison.is_exact:
        faults.append(f"other results: {comparison}")
    for name, one, other in zip(State._fields, state_of(folder), state_of(undisturbed), strict=True):
        if one != other:
            faults.append(f"other {name}: {_shown(one, other)}")
    return faults


def state_of(folder: Path) -> State:
    """What a project holds."""
    from nightrank.flows.settings_file import load_settings
    from nightrank.storage.workspace.bucket import BucketWorkspace
    from nightrank.storage.workspace.models import promotions
    from tests.faults.system_calls import without_passing_names

    project = folder / PROJECT
    workspace = load_settings(project / "nightrank.toml").workspace
    releases = workspace.release_ids()
    live = workspace.current_release_id()
    settings = tomllib.loads((project / "nightrank.toml").read_text(encoding="utf-8"))
    promoted = {kind: promotion.model for kind, promotion in promotions(workspace).items()}
    files = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()]
    if isinstance(workspace, BucketWorkspace):
        files += [f"workspace/{key}" for key in workspace.remote.sizes() if not key.startswith("readers/")]
    return State(
        current=None if live is None else str(releases.index(live)),
        releases=len(releases),
        files=frozenset(without_passing_names(name) for name in files if not _may_differ(name)),
        promoted=str(promoted),
        settings={key: value for key, value in settings.items() if key != "workspace"},
        exported={name: _exported(project / name) for name in EXPORTS if (project / name).exists()},
    )


def _may_differ(name: str) -> bool:
    """Whether a file's name says only which commit it is of; or it is a report, which a release may do without."""
    return ("/lance/" in name and not name.endswith(".tmp")) or name.endswith("/report.html")


def _shown(one: object, other: object) -> str:
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return f"more {sorted(one - other)[:3]}, less {sorted(other - one)[:3]}"
    return f"{str(one)[:200]} instead of {str(other)[:200]}"


def _results(workspace: Workspace) -> dict[str, list[Entry]]:
    from benchmarks.parts.compare_releases import rankings_of

    return rankings_of(workspace)


def _exported(path: Path) -> list[tuple[object, ...]]:
    """The rows of an exported file, in the order of their keys."""
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT * FROM answers ORDER BY key").fetchall()
    from nightrank.storage.files.parquet import read_table

    rows: Sequence[dict[str, object]] = read_table(path).to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=str)
