"""A night's run as stages see it: where it reads, where it builds, under which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.keys import sha256_of_file
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.evaluation import DEPTHS_FILE, TIMINGS_FILE
from nightrank.storage.release.results import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.release.manifest import ChunkTableVersion
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.settings.file import Settings

BUILT_UPON = ("documents.parquet", "bm25.duckdb", "dense.parquet", "static.parquet")  # files of the release before


@dataclass(frozen=True, slots=True)
class Before:
    """The release that a night builds upon: the one that was live when it began.

    Args:
        folder: Its folder.
        same_chunking: Whether its documents were cut as tonight's are.
        same_embedder: Whether its lists hold scores of tonight's embedder.
        same_reranker: Whether its pairs were scored by tonight's reranker.
        pairs_per_second: How fast that was when it was last measured; None where it never was.
    """

    folder: Path
    same_chunking: bool
    same_embedder: bool
    same_reranker: bool
    pairs_per_second: float | None

    def is_whole(self, digests: Mapping[str, str]) -> bool:
        """Whether all that a night builds upon is there, with the SHA-256 that the manifest names."""
        files = [self.document_digests, self.bm25, self.dense_lists]
        if self.static_lists.name in digests:  # older releases have none
            files.append(self.static_lists)
        return all(path.is_file() and sha256_of_file(path) == digests.get(path.name) for path in files)

    @property
    def document_digests(self) -> Path:
        """As ``Night.document_digests``."""
        return self.folder / "documents.parquet"

    @property
    def bm25(self) -> Path:
        """As ``Night.bm25``."""
        return self.folder / "bm25.duckdb"

    @property
    def dense_lists(self) -> Path:
        """As ``Night.dense_lists``."""
        return self.folder / "dense.parquet"

    @property
    def static_lists(self) -> Path:
        """As ``Night.static_lists``."""
        return self.folder / "static.parquet"


@dataclass(frozen=True, slots=True)
class Night:
    """A small record that every stage takes: stages hand on files, never tables.

    Args:
        settings: What is computed, and where.
        base: The folder that paths in the settings are relative to.
        workspace: Where state lies.
        release_id: Of the release that this run builds.
        before: What it builds upon; None where everything is made from nothing.
        seed: Of samples that this run draws; another one every night.
        answered: The live release's queries, schema QUERIES, where a budget in seconds asks for them; None where it
            does not, or where the file is not the one that was published.
    """

    settings: Settings
    base: Path
    workspace: Workspace
    release_id: str
    before: Before | None
    seed: int
    answered: Path | None = None

    def open_chunks(self, version: ChunkTableVersion) -> ChunkTable:
        """The version of the chunk table that this run reads."""
        return ChunkTable.open(self.workspace.lance, name=version.name, version=version.version)

    @property
    def staging(self) -> Path:
        """The folder in which this run's release is built."""
        return self.workspace.staging(self.release_id)

    @property
    def scratch(self) -> Path:
        """Files that stages hand on and the release does not keep."""
        return self.staging / "scratch"

    @property
    def shards(self) -> SharedFolder:
        """What workers are to compute, and what came of it; of a workspace in a bucket it lies there too."""
        return self.workspace.shared_folder(self.scratch / "shards")

    @property
    def documents(self) -> Path:
        """Every document once, schema DOCUMENTS."""
        return self.scratch / "documents.parquet"

    @property
    def fresh_chunks(self) -> Path:
        """The chunks of documents that were cut tonight, schema FRESH_CHUNKS."""
        return self.scratch / "fresh_chunks.parquet"

    @property
    def chunks(self) -> Path:
        """All chunks by chunk number, schema CHUNKS."""
        return self.scratch / "chunks.parquet"

    def outside_run(self, leg: str) -> Path:
        """The run that stands in for a leg, schema OUTSIDE_RUN; only where the settings name one."""
        return self.scratch / f"outside_{leg}.parquet"

    @property
    def allowed(self) -> Path:
        """The chunks that each filter lets through, schema ALLOWED_CHUNKS; not there without filters."""
        return self.scratch / "allowed.parquet"

    @property
    def allowed_before(self) -> Path:
        """The same of the collection that the night builds upon, of filters that could be applied to it."""
        return self.scratch / "allowed_before.parquet"

    @property
    def leg_bm25(self) -> Path:
        """Our own BM25 leg, schema LEG."""
        return self.scratch / "bm25.parquet"

    @property
    def leg_dense(self) -> Path:
        """Our own dense leg, schema LEG."""
        return self.scratch / "dense.parquet"

    @property
    def fused(self) -> Path:
        """Both legs fused, schema FUSED."""
        return self.scratch / "fused.parquet"

    @property
    def bad_rows(self) -> Path:
        """What was set aside and why, schema BAD_ROWS."""
        return self.staging / "bad_rows.parquet"

    @property
    def document_digests(self) -> Path:
        """The documents' ids and digests: columns ``storage.release.documents.DIGESTS``."""
        return self.staging / "documents.parquet"

    @property
    def queries(self) -> Path:
        """The chosen queries by query number, schema QUERIES."""
        return self.staging / "queries.parquet"

    @property
    def bm25(self) -> Path:
        """The BM25 statistics."""
        return self.staging / "bm25.duckdb"

    @property
    def dense_lists(self) -> Path:
        """The lists of the dense leg for the next night, schema DENSE_LISTS."""
        return self.staging / "dense.parquet"

    @property
    def candidates(self) -> Path:
        """Legs, fusion, pair scores and final order, schema CANDIDATES."""
        return self.staging / "candidates.parquet"

    @property
    def results(self) -> Path:
        """The search cache, as ``storage.release.results`` has it."""
        return self.staging / FILE_NAME

    @property
    def evaluation(self) -> Path:
        """Measures of each stage and judged query, schema EVALUATION."""
        return self.staging / "evaluation.parquet"

    @property
    def depths(self) -> Path:
        """Measures by reranking depth, schema DEPTHS."""
        return self.staging / DEPTHS_FILE

    @property
    def diagnosis(self) -> Path:
        """Where each relevant document went, schema DIAGNOSIS."""
        return self.staging / "diagnosis.parquet"

    @property
    def comparison(self) -> Path:
        """This release against the one that was live, schema COMPARISON."""
        return self.staging / "comparison.parquet"

    @property
    def diversity(self) -> Path:
        """Diverse results against those that the final order gives, schema COMPARISON; only where there are such."""
        return self.staging / "diversity.parquet"

    @property
    def before_again(self) -> Path:
        """What the release that was live is worth by today's judgments, schema EVALUATION."""
        return self.staging / "before.parquet"

    @property
    def timings(self) -> Path:
        """What a query costs online, a ``Timings``."""
        return self.staging / TIMINGS_FILE

    @property
    def static_lists(self) -> Path:
        """The lists of the static leg for the next night, schema DENSE_LISTS."""
        return self.staging / "static.parquet"

    @property
    def coverage(self) -> Path:
        """Coverage of a later day against budget, schema COVERAGE."""
        return self.staging / "coverage.parquet"

    @property
    def drops(self) -> Path:
        """What of the log was not kept, schema DROPS."""
        return self.staging / "drops.parquet"

    @property
    def report(self) -> Path:
        """The report, for people."""
        return self.staging / "report.html"
