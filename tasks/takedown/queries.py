"""Queries that documents asked, of which erased ones may have been: they go with them, and what people asked stays.

Which document asked a query is kept nowhere. So those go whose words an erased document says, those that are answered
first by one, and questions of a model that are answered by one at all. Too many may go: the next night asks anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.keys import normalise_query
from nightrank.storage.records import asked_by_people

if TYPE_CHECKING:
    from collections.abc import Iterable

ANSWERED = 10  # results in which a document answers a model's question


def queries_of_erased(queries: pa.Table, candidates: pa.Table, ids: pa.Array, texts: Iterable[str]) -> pa.Array:
    """The keys of the queries that go, string (n,).

    Args:
        queries: Schema QUERIES.
        candidates: Schema CANDIDATES, of the same release.
        ids: Of the erased documents.
        texts: Of their chunks, as far as no other document says them.
    """
    unasked = queries.filter(pa.array(~asked_by_people(queries)))
    if not unasked.num_rows:
        return pa.array([], pa.string())
    keys = unasked.column("query_key").combine_chunks()
    found = candidates.filter(pc.is_in(candidates.column("document_id"), value_set=ids))
    first, near = (
        pc.is_in(keys, value_set=found.filter(pc.less_equal(found.column("rank"), rank)).column("query_key").unique())
        for rank in (1, ANSWERED)
    )
    is_question = pc.equal(unasked.column("origin"), "question").combine_chunks()
    said = [normalise_query(text) for text in texts]
    is_said = pa.array(np.array([any(one in text for text in said) for one in unasked.column("text").to_pylist()]))
    return keys.filter(pc.or_(pc.or_(is_said, first), pc.and_(is_question, near)))
