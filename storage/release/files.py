"""The layout of a release: which file holds what, under which name. No other module spells these names.

A file is handed on as a reference: a value of a class of its kind, so that a type checker tells the candidates of a
release from its queries. Nothing here loads Arrow, which a look-up in the search cache does without; the schemas of the
tables are in ``storage.release.schemas``, one a kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from nightrank.storage.workspace.base import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.workspace.base import Workspace


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file of one kind.

    Args:
        path: Where it lies; it need not be there yet.
    """

    path: Path

    def is_there(self) -> bool:
        """Whether the file exists."""
        return self.path.is_file()


class TableReference(FileReference):
    """A Parquet file, and the schema of its rows."""

    __slots__ = ()

    @property
    def schema(self) -> pa.Schema:
        """Of its rows."""
        from nightrank.storage.release.schemas import SCHEMAS

        return SCHEMAS[type(self).__name__]

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The whole table, or some of its columns."""
        from nightrank.storage.files.parquet import read_table

        return read_table(self.path, columns=columns)

    def read_rows(self, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
        """The rows whose column has one of some values, in their order; the others are never in memory at once.

        Args:
            column: A column of strings.
            values: string (n,).
        """
        from nightrank.storage.files.parquet import read_rows

        return read_rows(self.path, column, values)

    def row_count(self) -> int:
        """Its rows, from the footer."""
        from nightrank.storage.files.parquet import row_count

        return row_count(self.path)

    def write(self, table: pa.Table) -> Self:
        """Write the table; the file appears when it is whole.

        Raises:
            ValueError: The table has another schema.
        """
        from nightrank.storage.files.parquet import write_table

        if not table.schema.equals(self.schema):
            raise ValueError(f"{self.path.name} is of schema {self.schema}, not {table.schema}")
        write_table(self.path, table)
        return self


class DocumentDigests(TableReference):
    """The documents' ids and digests: what a release keeps of them, for the next one to compare with."""


class Queries(TableReference):
    """The chosen queries, by query number."""


class Statistics(FileReference):
    """All chunks and the BM25 statistics, as ``storage.bm25`` has them."""


class DenseLists(TableReference):
    """Each query's nearest texts, for the next release to start from."""


class SparseLists(TableReference):
    """Each query's best texts by learned sparse vectors, where that leg is on, for the next release to start from."""


class Candidates(TableReference):
    """What the legs found for each query: scores and ranks in each leg, fused, of the reranker, and in the final order.

    The legs' and the fused ones are a document's, in the row of the chunk that stands for it; where chunks are
    candidates, they are the chunk's.
    """


class Results(FileReference):
    """The search cache, as ``storage.release.results.file`` has it."""


class CarriedSnippets(TableReference):
    """Each result's snippet by what it depends on, for the next release to start from."""


class Evaluation(TableReference):
    """Measures of each stage and judged query."""


class KnownItems(TableReference):
    """What titles, headings and sentences ask for, masked: the copies that compete in place of the originals."""


class Depths(TableReference):
    """Measures by reranking depth."""


class Diagnosis(TableReference):
    """Where each relevant document went."""


class Comparison(TableReference):
    """Two rankings of the same queries against each other, stage by stage."""


class TimingsFile(FileReference):
    """What a query costs online, as ``storage.release.evaluation`` has it."""


class Coverage(TableReference):
    """How much of a later day's traffic a budget answers."""


class Drops(TableReference):
    """What of the query log was not kept, and why."""


class Gaps(TableReference):
    """Queries that nothing answered well, those most in demand first."""


class BadRows(TableReference):
    """Rows of the inputs that were set aside, and why."""


class AccountKept(TableReference):
    """What the inputs were taken for, and what of them was left out."""


class JudgmentsKept(TableReference):
    """The judgments that the release was measured by."""


class PastReleases(TableReference):
    """This release and those that were live before it, as far as later ones are held against them."""


class PastRankings(TableReference):
    """What these releases answered judged queries, and a sample of the others, with."""


class Profile(TableReference):
    """Scores and lengths of a sample of queries and chunks, which the next release's are compared with."""


class NearFile(FileReference):
    """How wrong near answers are and how much they answer, as ``storage.release.near_record`` has it."""


class Report(FileReference):
    """The report, for people."""


class RawDocuments(TableReference):
    """Every document as it was read, repeated ids and all."""


class Documents(TableReference):
    """Every document once, by id descending."""


class FreshChunks(TableReference):
    """The chunks of documents that were cut in this refresh."""


class Chunks(TableReference):
    """All chunks, by chunk number."""


class ExternalRun(TableReference):
    """A run file of another engine, which stands in for a leg."""


class AllowedSets(TableReference):
    """The chunks of one collection that each filter lets through."""


class Watched(TableReference):
    """What became of searches of each query that would show clicks."""


class Bm25Leg(TableReference):
    """What BM25 found for each query."""


class DenseLeg(TableReference):
    """What the embedder found for each query."""


class SparseLeg(TableReference):
    """What the learned sparse encoder found for each query."""


class LaterDay(TableReference):
    """What was asked on a later day, and which queries had been chosen the evening before."""


class Fused(TableReference):
    """All legs as one ranking."""


F = TypeVar("F", bound=FileReference)


class Named(Generic[F]):
    """A place in a layout: of the class it is a name, of a layout with a folder the file there.

    Args:
        name: Of the file.
        kind: What it is.
    """

    def __init__(self, name: str, kind: type[F]) -> None:
        self.name = name
        self._kind = kind

    @overload
    def __get__(self, layout: None, owner: type) -> Self: ...
    @overload
    def __get__(self, layout: ReleaseFiles | ScratchFiles, owner: type) -> F: ...
    def __get__(self, layout: ReleaseFiles | ScratchFiles | None, owner: type) -> Self | F:
        """The file of a layout, or this name itself."""
        return self if layout is None else self._kind(layout.folder / self.name)


@dataclass(frozen=True, slots=True)
class ReleaseFiles:
    """The files of a release.

    >>> from pathlib import Path
    >>> ReleaseFiles(Path("releases/r1")).queries
    Queries(path=PosixPath('releases/r1/queries.parquet'))
    >>> ReleaseFiles.queries.name
    'queries.parquet'

    Args:
        folder: Of the release, or the one in which it is being built.
    """

    folder: Path

    manifest = Named(MANIFEST, FileReference)
    documents = Named("documents.parquet", DocumentDigests)
    queries = Named("queries.parquet", Queries)
    statistics = Named("bm25.duckdb", Statistics)
    dense_lists = Named("dense.parquet", DenseLists)
    sparse_lists = Named("sparse.parquet", SparseLists)
    candidates = Named("candidates.parquet", Candidates)
    results = Named("results.sqlite", Results)
    snippets = Named("snippets.parquet", CarriedSnippets)
    evaluation = Named("evaluation.parquet", Evaluation)
    known_items = Named("known_items.parquet", KnownItems)  # where there are any
    known_candidates = Named("known_candidates.parquet", Candidates)  # theirs
    known_evaluation = Named("known_evaluation.parquet", Evaluation)  # by them
    depths = Named("depths.parquet", Depths)
    diagnosis = Named("diagnosis.parquet", Diagnosis)
    measured_again = Named("previous.parquet", Evaluation)  # the release that was live, by today's judgments
    comparison = Named("comparison.parquet", Comparison)  # with the release that was live
    diversity = Named("diversity.parquet", Comparison)  # of diverse results with the final order's, where there are any
    single_stages = Named("single_stages.parquet", Comparison)  # each stage alone with the final order
    timings = Named("timings.json", TimingsFile)
    coverage = Named("coverage.parquet", Coverage)
    near = Named("near.json", NearFile)  # where near answers are on
    dropped = Named("dropped.parquet", Drops)
    gaps = Named("gaps.parquet", Gaps)
    bad_rows = Named("bad_rows.parquet", BadRows)
    account = Named("account.parquet", AccountKept)
    judgments = Named("judgments.parquet", JudgmentsKept)
    past_releases = Named("past_releases.parquet", PastReleases)
    past_rankings = Named("past_rankings.parquet", PastRankings)
    profile = Named("profile.parquet", Profile)
    report = Named("report.html", Report)

    former_results = Named("results.duckdb", FileReference)  # what releases of earlier versions have for `results`

    @classmethod
    def of(cls, workspace: Workspace, release_id: str, *, only: Collection[Named[Any]] | None = None) -> Self:
        """The files of a sealed release.

        Args:
            workspace: Where it lies.
            release_id: Its id.
            only: The files that will be read, where that is not all of them: no others are brought from elsewhere.
        """
        return cls(workspace.release(release_id, None if only is None else [named.name for named in only]))

    @property
    def scratch(self) -> ScratchFiles:
        """What stages of its refresh hand on and it does not keep."""
        return ScratchFiles(self.folder / "scratch")


@dataclass(frozen=True, slots=True)
class ScratchFiles:
    """Files that the stages of a refresh hand on and its release does not keep.

    Args:
        folder: Of these files.
    """

    folder: Path

    raw_documents = Named("raw_documents.parquet", RawDocuments)
    documents = Named("documents.parquet", Documents)
    fresh_chunks = Named("fresh_chunks.parquet", FreshChunks)
    chunks = Named("chunks.parquet", Chunks)
    external_bm25 = Named("external_bm25.parquet", ExternalRun)
    external_dense = Named("external_dense.parquet", ExternalRun)
    external_sparse = Named("external_sparse.parquet", ExternalRun)
    allowed = Named("allowed.parquet", AllowedSets)  # not there without filters
    allowed_before = Named("allowed_before.parquet", AllowedSets)  # of the collection that the refresh builds upon
    watched = Named("watched.parquet", Watched)
    bm25_leg = Named("bm25.parquet", Bm25Leg)
    dense_leg = Named("dense.parquet", DenseLeg)
    sparse_leg = Named("sparse.parquet", SparseLeg)
    fused = Named("fused.parquet", Fused)
    later_day = Named("later_day.parquet", LaterDay)  # where near answers are on, and the log has one
