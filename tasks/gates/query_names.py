"""What a query is called where a person looks for it: its id, else its words, and nothing that steers a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.files.text import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 60


def query_names(queries: pa.Table, keys: Sequence[str]) -> list[str]:
    """The names of some queries, in the order of their keys.

    Args:
        queries: Schema QUERIES.
        keys: Of queries that are in it.
    """
    rows = queries.filter(pc.is_in(queries.column("query_key"), value_set=pa.array(keys, pa.string()))).to_pylist()
    names: dict[str, str] = {}
    for row in rows:
        words = row["text"] if row.get("filter") is None else f"{row['text']} {row['filter']}"
        names[row["query_key"]] = row["query_ids"][0] if row["query_ids"] else words
    return [plain_name(names[key]) for key in keys]


def plain_name(name: str) -> str:
    r"""A name in quotation marks, on one line and of bounded length, without characters that print as nothing.

    >>> print(plain_name("q\x1b[2J\n7"))
    "q�[2J�7"
    >>> len(plain_name("x" * 1000))
    62
    """
    shown = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return f'"{plain_text(shown)}"'
