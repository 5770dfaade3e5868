"""The stage that finds which chunks each filter lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.allowed import write_allowed_chunks
from nightrank.storage.filters.queries import conditions_of
from nightrank.tasks.filters.compile import compiled
from nightrank.tasks.filters.queries import _distinct

if TYPE_CHECKING:
    from nightrank.tasks.night import Night


@task(name="filters", cache_policy=NO_CACHE)
def compile_filters(night: Night) -> int:
    """The chunks that each filter lets through, tonight and in the release before, for both legs.

    Returns:
        How many distinct filters there are.
    """
    conditions = _distinct(conditions_of(night.files.queries.read(["filter"])))
    if conditions:
        with Bm25Store.open(night.files.statistics.path) as store:
            write_allowed_chunks(night.scratch.allowed.path, compiled(conditions, store))
        if night.before is not None:
            with Bm25Store.open(night.before.files.statistics.path) as store:
                write_allowed_chunks(night.scratch.allowed_before.path, compiled(conditions, store))
    return len(conditions)
