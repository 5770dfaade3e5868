"""A release as its report reads it: the manifest, and those of its files that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.filters.queries import conditions_of
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.serving.cache import SearchCache

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nightrank.storage.release.files import Evaluation, TableReference
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.serving.cache import Result

MAIN_MEASURE = "nDCG@10"
MAIN_STAGE = "results"


class ReportQuery(NamedTuple):
    """A query: its text, and the canonical text of its filter."""

    text: str
    condition: str | None

    @property
    def shown(self) -> str:
        """The query as people read it."""
        return self.text if self.condition is None else f"{self.text} {self.condition}"


@dataclass(frozen=True, slots=True)
class ReleaseRead:
    """A release and where its files lie; a file that it does not have reads as None."""

    folder: Path
    manifest: Manifest

    @property
    def measure(self) -> str | None:
        """The measure that the report speaks of: nDCG@10 where it was asked for; None where nothing was measured."""
        measured = next(iter(self.manifest.measures.values()), {})
        return MAIN_MEASURE if MAIN_MEASURE in measured else next(iter(measured), None)

    @property
    def files(self) -> ReleaseFiles:
        """Its files, whether they are there or not."""
        return ReleaseFiles(self.folder)

    @property
    def measured_again(self) -> bool:
        """Whether it says what the release before is worth by its own judgments; older versions did not."""
        return self.files.measured_again.is_there()

    def values_before(self, previous: ReleaseRead, measure: str) -> dict[str, float]:
        """What the published results of the release before are worth, by query id.

        Args:
            previous: That release; its own figures are taken where it was not measured again.
            measure: As ir_measures writes it.
        """
        return _values(self.files.measured_again, measure) if self.measured_again else previous.values(measure)

    def values(self, measure: str) -> dict[str, float]:
        """What the published results are worth, by query id.

        Args:
            measure: As ir_measures writes it.
        """
        return _values(self.files.evaluation, measure)

    def report_queries(self, query_ids: Iterable[str]) -> dict[str, ReportQuery]:
        """Some queries by their ids in the log; a query that the release does not answer is left out."""
        queries = rows_of(self.files.queries)
        if queries is None:
            return {}
        ids = queries.column("query_ids").combine_chunks()
        flat = pc.list_flatten(ids)
        wanted = pc.is_in(flat, value_set=pa.array(list(query_ids), pa.string()))
        rows = queries.take(pc.list_parent_indices(ids).filter(wanted))
        asked = map(ReportQuery, rows.column("text").to_pylist(), conditions_of(rows))
        return dict(zip(flat.filter(wanted).to_pylist(), asked, strict=True))

    def rankings(self, queries: Iterable[ReportQuery]) -> dict[ReportQuery, tuple[Result, ...]]:
        """The published results of some queries; a query that was not answered is left out."""
        if not self.files.results.is_there():
            return {}
        with SearchCache(self.folder, release_id=self.manifest.release_id) as cache:
            found = {query: cache.get(query.text, filter_by=query.condition) for query in queries}
        return {query: cached.results for query, cached in found.items() if cached is not None}


def rows_of(file: TableReference) -> pa.Table | None:
    """The rows of a file of a release; None where there is no such file, or no row in it."""
    table = file.read() if file.is_there() else None
    return table if table is not None and table.num_rows else None


def _values(file: Evaluation, measure: str) -> dict[str, float]:
    """What published results are worth, by query id; empty where they were not measured."""
    evaluation = rows_of(file)
    if evaluation is None:
        return {}
    chosen = evaluation.filter((pc.field("stage") == MAIN_STAGE) & (pc.field("measure") == measure))
    return dict(zip(chosen.column("query_id").to_pylist(), chosen.column("value").to_pylist(), strict=True))
