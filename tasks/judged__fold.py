"""The judged among the queries of a release: what every evaluation looks at, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightrank.storage.records import Judgment


def judged_queries(queries: pa.Table, judgments: Iterable[Judgment]) -> pa.Table:
    """The queries that somebody judged, in their order.

    Args:
        queries: With ``query_ids``, those of the log behind each query.
        judgments: The qrels.
    """
    judged = pa.array(sorted({judgment.query_id for judgment in judgments}), pa.string())
    ids = queries.column("query_ids").combine_chunks()
    rows = pc.unique(pc.list_parent_indices(ids).filter(pc.is_in(pc.list_flatten(ids), value_set=judged)))
    return queries.take(rows)
