"""What a judge reads of a document: its title, and as much of its text as there is room for around the best passage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nightrank.tasks.release import StoredRelease

LEFT_OUT = "[...]"


class JudgedDocument(NamedTuple):
    """A document to be read.

    Attributes:
        title: May be empty.
        chunk_ids: Its chunks, in order.
        passages: What each says of its own.
    """

    title: str
    chunk_ids: Sequence[str]
    passages: Sequence[str]

    def excerpt(self, chunk_id: str, *, most: int) -> str:
        """Its text around a chunk; all of it where there is room.

        Args:
            chunk_id: Of the chunk that is read in any case; the first one where there is none of that id.
            most: Characters at most, but for the marks of what is left out.
        """
        best = self.chunk_ids.index(chunk_id) if chunk_id in self.chunk_ids else 0
        return excerpt(self.passages, best, most=most)


def excerpt(passages: Sequence[str], best: int, *, most: int) -> str:
    r"""Passages around one of them, as many as there is room for, in turn after it and before it.

    Args:
        passages: Of a document, in order; at least one.
        best: Place of the one that is read in any case.
        most: Characters at most, but for the marks of what is left out.

    >>> excerpt(["aaa", "bbb", "ccc", "ddd"], 2, most=9)
    '[...]\nbbb\nccc\nddd'
    >>> excerpt(["aaaa"], 0, most=2), excerpt(["a", "b"], 1, most=9)
    ('aa\n[...]', 'a\nb')
    """
    first = last = best
    room = most - len(passages[best])
    if room < 0:
        return f"{passages[best][:most]}\n{LEFT_OUT}"
    grows = True
    while grows:
        grows = False
        if last + 1 < len(passages) and len(passages[last + 1]) <= room:
            last, room, grows = last + 1, room - len(passages[last + 1]), True
        if first > 0 and len(passages[first - 1]) <= room:
            first, room, grows = first - 1, room - len(passages[first - 1]), True
    before = [LEFT_OUT] if first > 0 else []
    after = [LEFT_OUT] if last + 1 < len(passages) else []
    return "\n".join([*before, *passages[first : last + 1], *after])


def documents_of(release: StoredRelease, ids: Collection[str]) -> dict[str, JudgedDocument]:
    """Documents of a release by their ids; those that it has not are not there.

    To be called while the workspace is being read.

    Args:
        release: It.
        ids: Wanted ones.
    """
    wanted = pa.array(sorted(ids), pa.string())
    columns = ["document_id", "ordinal", "chunk_id", "chunk_hash", "title", "body_start"]
    with Bm25Store.open(release.files.statistics.path) as store:
        batches = [
            batch.filter(pc.is_in(batch.column("document_id"), value_set=wanted))
            for batch in store.chunk_reader(columns)
        ]
    rows = [row for batch in batches for row in batch.to_pylist()]
    if not rows:
        return {}
    hashes = pa.array(sorted({row["chunk_hash"] for row in rows}), pa.string())
    read = release.chunk_table().rows(hashes, ["text"])
    texts = dict(zip(read.column("chunk_hash").to_pylist(), read.column("text").to_pylist(), strict=True))
    by_document: dict[str, list[dict[str, object]]] = {}
    for row in sorted(rows, key=lambda row: row["ordinal"]):
        by_document.setdefault(row["document_id"], []).append(row)
    return {
        document_id: JudgedDocument(
            str(of_it[0]["title"]),
            [str(row["chunk_id"]) for row in of_it],
            [_body(row, texts) for row in of_it],
        )
        for document_id, of_it in by_document.items()
    }


def _body(row: dict[str, object], texts: dict[str, str]) -> str:
    start = row["body_start"]
    assert isinstance(start, int)
    return texts[str(row["chunk_hash"])][start:]
