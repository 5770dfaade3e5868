"""BM25 alone over chunks in memory, for benchmarks that need neither vectors nor a release."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import CHUNKS
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.rank.documents import document_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nightrank.storage.records import Chunk
    from nightrank.tasks.settings.index import Bm25Settings

NO_TITLES: Mapping[str, str] = {}


@contextmanager
def statistics_of(
    chunks: Sequence[Chunk], *, settings: Bm25Settings, titles: Mapping[str, str] = NO_TITLES, language: str = ""
) -> Iterator[Bm25Store]:
    """The statistics of chunks, in a file that goes afterwards.

    Args:
        chunks: All of a collection, by their numbers.
        settings: Of the analysis.
        titles: Of the documents, by their ids, which the texts of the chunks begin with; one without is left out.
        language: That all documents say they are in; empty where they say none.
    """
    rows = [
        {
            **{name: getattr(chunk, name, "{}") for name in CHUNKS.names},
            "title": titles.get(chunk.document_id, ""),
            "language": language,
        }
        for chunk in chunks
    ]
    said = {chunk.chunk_hash: chunk.text for chunk in chunks}
    texts = pa.record_batch({"chunk_hash": list(said), "text": list(said.values())})
    with TemporaryDirectory() as name:
        listed, statistics = Path(name) / "listed.parquet", Path(name) / "statistics.duckdb"
        pq.write_table(pa.Table.from_pylist(rows, schema=CHUNKS), listed)
        build_bm25(statistics, listed, texts_of=lambda _: iter([texts]), analyse=Analyser.of(settings))
        with Bm25Store.open(statistics) as store:
            yield store


def bm25_rankings(
    chunks: Sequence[Chunk],
    queries: Sequence[str],
    *,
    settings: Bm25Settings,
    depth: int,
    titles: Mapping[str, str] = NO_TITLES,
    language: str = "",
) -> list[list[str]]:
    """The ids of the documents that each query finds, each by its best chunk, the best first.

    Args:
        chunks: As ``statistics_of`` has them, as are titles and language.
        queries: Normalised.
        settings: Of analysis and formula.
        depth: Documents a query.
        titles: Of the documents.
        language: Of the documents.
    """
    with statistics_of(chunks, settings=settings, titles=titles, language=language) as store:
        leg = retrieve_bm25(
            store,
            queries,
            settings=settings,
            analyser=Analyser.of(settings),
            depth=depth,
            documents=Documents(document_numbers(store), 1),
        )
        documents = store.chunks(["document_id"])["document_id"].to_pylist()
    found: list[list[str]] = [[] for _ in queries]
    for row in leg.to_pylist():
        found[row["query_number"]].append(documents[row["chunk_number"]])
    return found
