from __future__ import annotations

import pyarrow as pa

from nightrank.storage.records import QUERIES, Judgment
from nightrank.tasks.release import judged_queries


def test_judged_queries_are_found_by_their_ids_or_else_by_their_words() -> None:
    rows: list[dict[str, object]] = [
        {"text": "tea", "query_ids": ["q1", "q9"], "aliases": [], "filter": None},
        {"text": "salt", "query_ids": [], "aliases": ["sea salt"], "filter": None},
        {"text": "sea salt", "query_ids": [], "aliases": [], "filter": '{"year":2024}'},
        {"text": "nobody judged", "query_ids": [], "aliases": [], "filter": None},
    ]
    whole = [{"query_key": str(place), "count": 0, "origin": "log", **row} for place, row in enumerate(rows)]
    queries = pa.Table.from_pylist(whole, schema=QUERIES)
    judgments = [Judgment(name, "d", 1) for name in ("q1", "Sea  Salt", "tea")]
    found = judged_queries(queries, judgments)
    assert found.schema == QUERIES
    assert [(row["text"], row["query_ids"]) for row in found.to_pylist()] == [
        ("tea", ["q1", "q9"]),
        ("salt", ["Sea  Salt"]),
    ]
    assert judged_queries(queries, []).num_rows == 0
    older = queries.drop_columns(["aliases", "filter"])
    assert judged_queries(older, judgments).column("text").to_pylist() == ["tea", "sea salt"]
