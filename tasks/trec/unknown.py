"""Ids of judgments and run files that no document has: how many, one of them, and what would make them match."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without blanks around them", str.strip),
    ("in the same Unicode form (NFC)", lambda text: unicodedata.normalize("NFC", text)),
    ("in the same case", str.casefold),
    ("without the folders before them", lambda text: text.rsplit("/", 1)[-1]),
    ("without the suffix of a file", lambda text: text.rsplit(".", 1)[0]),
    ("without leading zeros", lambda text: text.lstrip("0") or text),
    ("without what follows # or the last hyphen", lambda text: text.split("#")[0].rsplit("-", 1)[0]),
)
SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class Unknown:
    """Ids that no document has.

    Attributes:
        count: Different ones.
        of: Different ids that were looked for.
        example: The first of them by its order, quoted; empty where there is none.
        hint: What would make most of them match, as a clause; empty where nothing that was tried does.
    """

    count: int
    of: int
    example: str
    hint: str


def unknown_documents(document_ids: Iterable[str], known: pa.Array | pa.ChunkedArray) -> Unknown:
    """Which ids are not those of a collection.

    Args:
        document_ids: Of judgments or a run, in any order and repeated.
        known: string (n_documents,), of the collection.

    >>> unknown_documents(["docs/b", "docs/a"], pa.array(["a", "b"]))
    Unknown(count=2, of=2, example="'docs/a'", hint='2 of them match without the folders before them')
    """
    wanted = sorted(set(document_ids))
    are_known = pc.is_in(pa.array(wanted, pa.string()), value_set=_whole(known)).to_pylist()
    unknown = [document_id for document_id, is_known in zip(wanted, are_known, strict=True) if not is_known]
    if not unknown:
        return Unknown(0, len(wanted), "", "")
    return Unknown(len(unknown), len(wanted), shown(unknown[0]), _hint(unknown[:SAMPLE], known))


def _hint(unknown: list[str], known: pa.Array | pa.ChunkedArray) -> str:
    """The first form under which most of the ids are known ones."""
    ids = known.to_pylist()
    best, words = 0, ""
    for name, form in FORMS:
        forms = {form(document_id) for document_id in ids}
        matching = sum(form(document_id) in forms for document_id in unknown)
        if matching > best:
            best, words = matching, f"{matching:,} of them match {name}"
    return words


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
