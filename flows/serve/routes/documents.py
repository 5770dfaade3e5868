"""``GET /documents/{id}``: a document of the release that is served, passage by passage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.flows.serve.http.parameters import shown
from nightrank.flows.serve.http.reply import json_reply

if TYPE_CHECKING:
    from starlette.types import Scope

    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.release import ServedRelease
    from nightrank.flows.serve.server import Server


class Passage(msgspec.Struct, frozen=True):
    """A chunk of a document: what the models read of it, without title and headings before it."""

    chunk_id: str
    text: str


class Document(msgspec.Struct, frozen=True):
    """A document as the release has it."""

    document_id: str
    release_id: str
    title: str
    metadata: dict[str, Any]
    passages: list[Passage]


async def document(server: Server, scope: Scope) -> Reply:
    """The document whose id the path names."""
    with server.answerer.current.lent() as release:
        return json_reply(document_of(release, scope["path_params"]["document_id"]))


def document_of(release: ServedRelease, document_id: str) -> Document:
    """A document by its id.

    Raises:
        RequestFault: The release has none of that id, it was taken down, or the server holds no collection.
    """
    collection = release.collection
    if collection is None:
        what = "This server holds results alone, and no documents."
        raise RequestFault(404, what, where="path", remedy="Set [serve].live.")
    statistics = collection.statistics
    numbers = range(0) if document_id in release.retracted else statistics.document(document_id)
    if not numbers:
        what = f"The release {release.release_id} has no document {shown(document_id)}."
        raise RequestFault(404, what, where="path", remedy="Take the id from a result.")
    columns = ("chunk_id", "chunk_hash", "title", "body_start", "metadata")
    chunks = statistics.chunks_at(np.array(numbers, dtype=np.int32), columns).to_pylist()
    hashes = pa.array([chunk["chunk_hash"] for chunk in chunks]).unique()
    rows = collection.rows.rows(hashes, ["text"])
    texts = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
    return Document(
        document_id,
        release.release_id,
        chunks[0]["title"],
        json.loads(chunks[0]["metadata"]),
        [Passage(chunk["chunk_id"], texts[chunk["chunk_hash"]][chunk["body_start"] :]) for chunk in chunks],
    )
