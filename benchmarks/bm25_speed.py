"""How fast are BM25's statistics built, and the top 100 of a whole log found, beside bm25s and rank-bm25?

    python -m benchmarks.bm25_speed --work .benchmarks            # 200,000 and 1,000,000 made-up chunks; an hour
    python -m benchmarks.bm25_speed --work .benchmarks --small    # 20,000; a minute
    python -m benchmarks.bm25_speed --work .benchmarks --asks     # the top 100 alone, after one build

All in one process and in turn. Building: from raw texts in memory to what can be asked; ours writes a file of DuckDB as
a night does, bm25s fills arrays in memory, and splits and stems with the same stop words and stemmer. Asking: 10,000
queries, from their texts to 100 chunks each; ours reads the postings from the file each time, bm25s holds them in
memory, and is timed with one thread and with all. rank-bm25 is asked a few queries (it has no batches), with
chunks that hold the terms of these alone, which makes it no slower and lets it fit. What both found is compared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import Stemmer

from benchmarks.inputs.synthetic_texts import query_texts, text_batches
from benchmarks.parts.claims import benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.machine import machine
from benchmarks.parts.race import Laps, race
from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import CHUNKS
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.languages import word_lists
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.settings.index import Bm25Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.parts.claims import Claim

SIZES = (200_000, 1_000_000)
SMALL_SIZES = (20_000,)
QUERIES = 10_000
DEPTH = 100
BUILDS = 3  # rounds of building; more would take hours
RANK_BM25_QUERIES = 3
SETTINGS = Bm25Settings()


@dataclass(frozen=True, slots=True)
class Collection:
    """Made-up chunks in memory, and where our statistics of them go.

    Attributes:
        batches: chunk_hash and text.
        chunks: A Parquet file of ``storage.records.CHUNKS``.
        statistics: The file that a build writes.
    """

    batches: list[pa.RecordBatch]
    chunks: Path
    statistics: Path

    @classmethod
    def of(cls, folder: Path, count: int) -> Collection:
        """The collection of a size; its listing is written anew."""
        batches, first = [], 0
        for texts in text_batches(count):
            hashes = pa.array([f"{number:032x}" for number in range(first, first + len(texts))])
            batches.append(pa.record_batch([hashes, texts], names=["chunk_hash", "text"]))
            first += len(texts)
        chunks = folder / f"bm25-{count}.parquet"
        with pq.ParquetWriter(chunks, CHUNKS) as writer:
            for batch in batches:
                writer.write_table(_listed(batch.column("chunk_hash")))
        return cls(batches, chunks, folder / f"bm25-{count}.duckdb")

    def build(self) -> None:
        """Our statistics, from the texts."""
        build_bm25(self.statistics, self.chunks, texts_of=lambda _: iter(self.batches), analyse=Analyser.of(SETTINGS))

    def texts(self) -> list[str]:
        """The texts as bm25s takes them."""
        return [text for batch in self.batches for text in batch.column("text").to_pylist()]

    def retrieve(self, queries: list[str]) -> pa.Table:
        """Our leg of the queries, from the file."""
        with Bm25Store.open(self.statistics) as store:
            return retrieve_bm25(store, queries, settings=SETTINGS, analyser=Analyser.of(SETTINGS), depth=DEPTH)


class Bm25s:
    """The package bm25s with its numba backend, analysing as we do."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def build(self, texts: list[str]) -> None:
        """Its index of the texts."""
        import bm25s

        self._retriever = bm25s.BM25(method="lucene", k1=SETTINGS.k1, b=SETTINGS.b, backend="numba")
        self._retriever.index(self._tokens(texts), show_progress=False)

    def retrieve(self, queries: list[str], *, threads: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The best chunks of each query, by place, and their scores: (n_queries, DEPTH)."""
        tokens = self._tokens(queries)
        found = self._retriever.retrieve(tokens, k=DEPTH, n_threads=threads, show_progress=False)
        return found.documents, found.scores

    def _tokens(self, texts: list[str]) -> object:
        import bm25s

        stop_words = sorted(word_lists()["english"].stop_words)
        return bm25s.tokenize(texts, stopwords=stop_words, stemmer=Stemmer.Stemmer("english"), show_progress=False)


def claims_of(folder: Path, count: int, *, rounds: int, cores: int, asks_only: bool) -> Iterator[Claim]:
    """The claims at one size."""
    collection, theirs, queries = Collection.of(folder, count), Bm25s(), query_texts(QUERIES)
    builders: dict[str, Callable[[], None]] = {
        "ours": collection.build,
        "bm25s": partial(theirs.build, collection.texts()),
    }
    if asks_only:
        for build in builders.values():
            build()
    else:
        yield _build_claim(collection, race(builders, rounds=min(rounds, BUILDS)), count)
    del builders
    yield from _ask_claims(collection, theirs, queries, count, rounds=rounds, cores=cores)


def _build_claim(collection: Collection, built: dict[str, Laps], count: int) -> Claim:
    with Bm25Store.open(collection.statistics) as store:
        postings = int(store.chunk_counts().sum())
    return claim_of_rates(
        f"BM25 build from raw text, {count:,} chunks",
        built["ours"],
        built["bm25s"],
        amount=count,
        unit="chunks/s",
        target=2,
        equal=f"the same analysis; {postings:,} postings of ours, in a file",
    )


def _ask_claims(
    collection: Collection, theirs: Bm25s, queries: list[str], count: int, *, rounds: int, cores: int
) -> Iterator[Claim]:
    settings = {f"bm25s, threads: {threads}": threads for threads in sorted({1, cores})}
    runners = {name: partial(theirs.retrieve, queries, threads=threads) for name, threads in settings.items()}
    asked = race({"ours": partial(collection.retrieve, queries), **runners}, rounds=rounds)
    best = min((asked[name] for name in settings), key=lambda laps: laps.median)
    equal = _agreement(collection.retrieve(queries), *theirs.retrieve(queries, threads=1), count)
    yield claim_of_rates(
        f"BM25 top {DEPTH}, {count:,} chunks",
        asked["ours"],
        best,
        amount=QUERIES,
        unit="queries/s",
        target=3,
        equal=equal,
    )
    yield claim_of_rates(
        f"BM25 top {DEPTH}, {count:,} chunks",
        asked["ours"],
        _rank_bm25(collection, queries[:: QUERIES // RANK_BM25_QUERIES][:RANK_BM25_QUERIES], asked["ours"]),
        amount=QUERIES,
        unit="queries/s",
        target=500,
        equal=f"{RANK_BM25_QUERIES} queries timed, their seconds taken for {QUERIES:,}; each night audits its scores",
    )


def _rank_bm25(collection: Collection, queries: list[str], ours: Laps) -> Laps:
    """What rank-bm25 would take for the whole log, as many laps as ours."""
    from rank_bm25 import BM25Okapi

    with Bm25Store.open(collection.statistics) as store:
        terms = store.query_terms(queries, analyse=Analyser.of(SETTINGS))
        asked = [terms.filter(pc.field("query_number") == number)["term_number"] for number in range(len(queries))]
        wanted = np.unique(terms["term_number"].to_numpy())
        found = store.postings_at(wanted, np.arange(store.chunk_count, dtype=np.int32))
        peer = BM25Okapi([["a"], ["b"]], k1=SETTINGS.k1, b=SETTINGS.b)
        peer.doc_freqs = [{} for _ in range(store.chunk_count)]
        for term, chunk, tf, _ in zip(*(column.to_pylist() for column in found.columns), strict=True):
            peer.doc_freqs[chunk][term] = tf
        peer.doc_len, peer.corpus_size, peer.avgdl = store.lengths(), store.chunk_count, store.average_length
        peer.idf = dict.fromkeys(wanted.tolist(), 1.0)
    laps = []
    for _ in ours.seconds:
        start = time.perf_counter()
        for numbers in asked:
            np.argpartition(peer.get_scores(numbers.to_pylist()), -DEPTH)[-DEPTH:]
        laps.append((time.perf_counter() - start) * QUERIES / len(queries))
    return Laps("rank-bm25", tuple(laps))


def _agreement(leg: pa.Table, documents: NDArray[np.int32], scores: NDArray[np.float32], count: int) -> str:
    """How much of what bm25s found we found too, and how far the scores by rank are apart, in words."""
    numbers, ranks = leg["query_number"].to_numpy(), leg["rank"].to_numpy() - 1
    # Chunks go by document id descending with us, by place with bm25s.
    places = count - 1 - leg["chunk_number"].to_numpy()
    ours = np.full(documents.shape, -1)
    ours[numbers, ranks] = places
    both = sum(np.intersect1d(*pair).size for pair in zip(ours, documents, strict=True))
    apart = np.abs(leg["score"].to_numpy() - scores[numbers, ranks]).max()
    return f"{both / len(leg):.2%} of the chunks the same (ties are cut elsewhere), scores by rank within {apart:.0e}"


def _listed(hashes: pa.Array) -> pa.Table:
    count = len(hashes)
    columns = {
        "chunk_id": hashes,
        "chunk_hash": hashes,
        "document_id": hashes,
        "ordinal": pa.array(np.zeros(count, dtype=np.int32)),
        "title": pa.array([""] * count),
        "body_start": pa.array(np.zeros(count, dtype=np.int32)),
        "metadata": pa.array(["{}"] * count),
        "language": pa.array([""] * count),
    }
    return pa.table([columns[name] for name in CHUNKS.names], schema=CHUNKS)


def main() -> None:
    """Print the claims."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--asks", action="store_true", help="the top 100 alone, after one build")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    reported = {"rounds": options.rounds, "cores": int(machine()["cores"]), "asks_only": options.asks}
    sizes = SMALL_SIZES if options.small else SIZES
    main_of([claim for size in sizes for claim in claims_of(options.work, size, **reported)], options)


if __name__ == "__main__":
    main()
