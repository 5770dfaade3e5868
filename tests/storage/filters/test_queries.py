from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.parquet import write_table
from nightrank.storage.filters.queries import by_text, conditions_of, text_keys_in
from nightrank.storage.keys import digest, query_key
from nightrank.storage.records import QUERIES

if TYPE_CHECKING:
    from pathlib import Path

FILTER = '{"type":"docs"}'


def queries(*rows: tuple[str, str | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "query_key": query_key(*row),
                "text": row[0],
                "count": 1,
                "query_ids": [],
                "aliases": [],
                "filter": row[1],
                "origin": "log",
            }
            for row in rows
        ],
        schema=QUERIES,
    )


TABLE = queries(("tea", None), ("tea", FILTER), ("bread", FILTER))


def test_the_same_text_with_another_filter_is_another_query_and_without_one_what_it_always_was() -> None:
    assert query_key("Tea ") == digest("query", "tea")
    assert len({query_key("tea"), query_key("tea", FILTER), query_key("tea", '{"type":"blog"}')}) == 3
    assert query_key("Tea ", FILTER) == query_key("tea", FILTER)


def test_what_models_know_of_a_query_goes_by_its_text() -> None:
    pairs = pa.table({"query_key": TABLE.column("query_key"), "chunk_hash": ["a", "b", "c"]})
    found = by_text(pairs, TABLE)
    assert found.column("query_key").to_pylist() == [query_key("tea"), query_key("tea"), query_key("bread")]
    assert found.column("chunk_hash").to_pylist() == ["a", "b", "c"]


def test_without_filters_nothing_is_done() -> None:
    plain = queries(("tea", None))
    assert by_text(plain, plain) is plain
    before = plain.drop_columns(["filter"])
    assert by_text(before, before) is before
    assert conditions_of(before) == [None]


def test_the_keys_of_several_releases_are_told_together_those_of_earlier_versions_among_them(tmp_path: Path) -> None:
    write_table(tmp_path / "one.parquet", TABLE)
    write_table(tmp_path / "other.parquet", queries(("tea", FILTER), ("salt", FILTER)))
    write_table(tmp_path / "old.parquet", TABLE.drop_columns(["filter", "origin"]))
    found = text_keys_in([tmp_path / f"{name}.parquet" for name in ("one", "other", "old")])
    assert dict(zip(*(column.to_pylist() for column in found.columns), strict=True)) == {
        query_key(text, FILTER): query_key(text) for text in ("tea", "bread", "salt")
    }
    assert text_keys_in([]).num_rows == 0
