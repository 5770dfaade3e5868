"""The stage that finds which chunks each filter lets through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.allowed import write_allowed_chunks
from nightrank.storage.filters.queries import conditions_of
from nightrank.tasks.filters.compile import compiled
from nightrank.tasks.filters.queries import QueryFilters, distinct_conditions
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.storage.release.files import AllowedSets, Queries
    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.index import Index


@dataclass(frozen=True, slots=True)
class FilteredQueries:
    """The queries of a release, and what their filters let through.

    Attributes:
        queries: All of them.
        allowed: The chunks that each filter lets through; not there without filters.
        allowed_before: The same of the collection that the night builds upon, for filters that could be applied to it.
    """

    queries: Queries
    allowed: AllowedSets
    allowed_before: AllowedSets

    def filters(self, queries: pa.Table | None = None) -> QueryFilters:
        """The filters of all queries, or of some, schema QUERIES."""
        return QueryFilters.of_file(self.queries.read(["filter"]) if queries is None else queries, self.allowed)


@stage_task("filters")
def compile_filters(night: Night, queries: Queries, index: Index) -> FilteredQueries:
    """The chunks that each filter lets through, tonight and in the release before, for both legs."""
    asked = FilteredQueries(queries, night.scratch.allowed, night.scratch.allowed_before)
    conditions = distinct_conditions(conditions_of(queries.read(["filter"])))
    if conditions:
        with Bm25Store.open(index.statistics.path) as store:
            write_allowed_chunks(asked.allowed.path, compiled(conditions, store))
        if night.before is not None:
            with Bm25Store.open(night.before.files.statistics.path) as store:
                write_allowed_chunks(asked.allowed_before.path, compiled(conditions, store))
    return asked
