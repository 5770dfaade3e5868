"""What an export writes: every query of a release and every alias of one, as a stream by key."""

from __future__ import annotations

import heapq
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq

from nightrank.storage.errors import ChangedMeanwhile, InputError, MachineError
from nightrank.storage.files.database import connect, one_file
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.whole import whole_file
from nightrank.storage.retracted.answers import open_answers
from nightrank.storage.retracted.listed import read_retracted
from nightrank.storage.serving.reader import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.release.results.file import ResultsFile
    from nightrank.storage.workspace.base import Workspace

_CONDITIONS = """
SELECT query_key, "filter" FROM read_parquet($path, hive_partitioning = false)
WHERE "filter" IS NOT NULL ORDER BY query_key
"""


class Entry(NamedTuple):
    """One key of an export: of a query, or of an alias, which has ``alias_of`` alone.

    Attributes:
        alias_of: The key of the query whose results the alias gets.
        query: Normalised.
        condition: The canonical text of its filter.
        results: JSON: a list of ``Result``, best first.
    """

    key: str
    alias_of: str | None = None
    query: str | None = None
    condition: str | None = None
    results: str | None = None

    def document(self, release_id: str) -> str:
        """A JSON object that says all of it but its key, for stores that hold one value a key.

        >>> Entry("7f", query="tea", results='[{"rank": 1}]').document("r1")
        '{"release_id":"r1","query":"tea","filter":null,"results":[{"rank": 1}]}'
        >>> Entry("8c", alias_of="7f").document("r1")
        '{"release_id":"r1","alias_of":"7f"}'
        """
        head = f'{{"release_id":{_as_json(release_id)}'
        if self.alias_of is not None:
            return f'{head},"alias_of":{_as_json(self.alias_of)}}}'
        # The filter and the results are JSON already, and stay as they are, to the letter.
        return f'{head},"query":{_as_json(self.query)},"filter":{self.condition or "null"},"results":{self.results}}}'


@dataclass(frozen=True, slots=True)
class ReleaseToServe:
    """A release whose results can be read out, without what was taken down.

    Attributes:
        served: What a place serves that has all of it.
        files: Of the release.
        manifest: Its own.
        results: Opened.
        workspace: Where it is.
        listed: The state of the list of what was taken down when they were opened.
    """

    served: Served
    files: ReleaseFiles
    manifest: Manifest
    results: ResultsFile
    workspace: Workspace
    listed: str

    @property
    def release_id(self) -> str:
        """Its id."""
        return self.served.release_id

    def entries(self) -> Iterator[Entry]:
        """Every query and every alias, by key, one in memory at a time."""
        aliases = (Entry(key, alias_of=of) for key, of in self.results.aliases())
        return heapq.merge(self._queries(), aliases, key=lambda entry: entry.key)

    def require_unchanged(self) -> None:
        """See that nothing was taken down meanwhile; a place asks when it has written all, before it switches.

        Raises:
            ChangedMeanwhile: Something was, or was brought back.
        """
        if read_retracted(self.workspace).state != self.listed:
            message = f"Documents of the release {self.release_id} were taken down while it was being exported."
            raise ChangedMeanwhile(message, remedy="Export it again.")

    def require_whole(self) -> None:
        """Read the files that are exported, and compare them with the manifest.

        Raises:
            MachineError: One of them is not what the manifest says.
        """
        for file in (self.files.results, self.files.queries):
            if whole_file(file, self.manifest) is None:
                message = f"The release {self.release_id} is damaged: {file.path.name} is not what its manifest says."
                raise MachineError(message, remedy="Export another (`nightrank releases`), or restore the file.")

    def _queries(self) -> Iterator[Entry]:
        conditions = _conditions(self.files.queries.path)
        filtered = next(conditions, None)
        for key, query, results in self.results.rows():
            condition = None
            if filtered is not None and filtered[0] == key:
                condition, filtered = filtered[1], next(conditions, None)
            yield Entry(key, query=query, condition=condition, results=results.decode())


@contextmanager
def release_to_serve(workspace: Workspace, release_id: str | None) -> Iterator[ReleaseToServe]:
    """Open a release for export; pruning it meanwhile does no harm.

    Args:
        workspace: Where it is.
        release_id: Its id; None for the current one.

    Raises:
        InputError: There is no such release, it was rejected, or it answers no query.
        MachineError: Its results or its manifest cannot be read.
    """
    manifest = read_manifest(workspace, workspace.require_current() if release_id is None else release_id)
    release_id = manifest.release_id
    files = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.results, ReleaseFiles.queries])
    if manifest.status == "rejected":
        message = f"The release {release_id} was rejected by its gates, and is not for readers."
        raise InputError(message, remedy="Choose one that passed; `nightrank releases` lists them.")
    retracted = read_retracted(workspace)  # after the pointer, where that was asked
    replaced = retracted.releases.get(release_id)
    answers = (retracted.state if replaced is None else replaced.sha256) if retracted.documents else ""
    with open_answers(workspace, release_id, retracted) as results:
        if len(results) == 0:
            message = f"The release {release_id} answers no query."
            raise InputError(message, remedy="Check that the log has queries, and run `nightrank refresh`.")
        aliases = sum(1 for _ in results.aliases())
        served = Served(release_id, len(results), aliases, answers)
        yield ReleaseToServe(served, files, manifest, results, workspace, retracted.state)


def _conditions(queries: Path) -> Iterator[tuple[str, str]]:
    """The keys of queries with a filter, by key, and their filters."""
    with pq.ParquetFile(queries) as file:
        if "filter" not in file.schema_arrow.names:  # an earlier version's
            return
    with connect() as connection:
        connection.execute(_CONDITIONS, {"path": one_file(queries)})
        while rows := connection.fetchmany(1000):
            yield from rows


def _as_json(value: str | None) -> str:
    return json.dumps(value, ensure_ascii=False)
