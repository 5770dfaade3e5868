"""What all three legs say of a small collection that lies in no workspace: passages in stores made for the moment."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.records import CHUNKS, Chunk
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.settings.index import EmbedderSettings, SparseSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.sparse.encoder import SparseEncoder, plan_sparse
from nightrank.tasks.sparse.retrieve import retrieve_sparse
from nightrank.tasks.train.search import ReleaseIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.train.sources import Passage

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

DEPTH = 50  # candidates of a query
SETTINGS = Settings.model_validate(
    {"documents": {"source": "."}, "queries": {"log": "."}, "retrieval": {"candidate_depth": DEPTH}}
)
NO_CANDIDATES = pa.schema([("query_key", pa.string()), ("chunk_hash", pa.string()), ("pair_score", pa.float32())])


@dataclass(frozen=True, slots=True)
class Encoders:
    """What the legs over vectors ask.

    Attributes:
        embed: Texts to unit vectors, float32 (n, dim).
        sparse_passages: Texts to sparse vectors.
        sparse_queries: Queries to sparse vectors.
        fingerprints: Of both, which decide the vectors.
    """

    embed: Embed
    sparse_passages: Callable[[Sequence[str]], SparseVectors]
    sparse_queries: Callable[[Sequence[str]], SparseVectors]
    fingerprints: tuple[str, str] = ("", "")


def load_encoders(*, base: Path, sparse: str = "splade-tiny", device: str = "auto") -> Encoders:
    """The packaged dual encoder, and a sparse one.

    Args:
        base: What relative folders of models are relative to.
        sparse: A packaged name, a folder or a hub id.
        device: Where they run, as in ``[execution].device``.

    Raises:
        InputError: A model is not there, or its weights are not the expected ones.
    """
    execution = ExecutionSettings.model_validate({"device": device})
    dense_plan = plan_embedder(EmbedderSettings(), execution, base=base)
    sparse_plan = plan_sparse(SparseSettings(model=sparse), execution, base=base)
    encoder = SparseEncoder(sparse_plan)
    return Encoders(
        embed=Embedder(dense_plan, batch_tokens=execution.batch_tokens).embed_passages,
        sparse_passages=encoder.encode_passages,
        sparse_queries=encoder.encode_queries,
        fingerprints=(dense_plan.fingerprint, sparse_plan.fingerprint),
    )


@dataclass(frozen=True, slots=True, eq=False)
class LegsFound:
    """What the legs find among passages.

    Attributes:
        tables: Schema LEG, by leg.
        places: int64 (n_chunks,), the passage that each chunk is.
        vectors: float32 (n_passages, dim), of unit length.
    """

    tables: Mapping[LegName, pa.Table]
    places: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def scores(self, leg: LegName, *, queries: int) -> NDArray[np.float32]:
        """The scores of every passage for every query, float32 (n_queries, n_passages); 0 where the leg has none."""
        table = self.tables[leg]
        scores = np.zeros((queries, self.places.size), dtype=np.float32)
        rows = table.column("query_number").to_numpy()
        scores[rows, self.places[table.column("chunk_number").to_numpy()]] = table.column("score").to_numpy()
        return scores


def find(queries: Sequence[str], passages: Sequence[Passage], encoders: Encoders, *, depth: int) -> LegsFound:
    """What each leg finds of passages for queries.

    Args:
        queries: Normalised.
        passages: Each a document of its own, named by its place.
        encoders: Of the legs over vectors.
        depth: Passages a leg and query; BM25 and the sparse leg find none that shares nothing with the query.
    """
    with indexed(passages, encoders.embed) as index:
        first_stage = index.first_stage
        places = index.listing.column("document_id").to_numpy(zero_copy_only=False).astype(np.int64)
        said = [passages[place].model_text() for place in places.tolist()]
        distinct = first_stage.texts
        texts = [said[chunk] for chunk in distinct.chunk_numbers[distinct.starts[:-1]].tolist()]
        block = (np.arange(len(distinct), dtype=np.int32), encoders.sparse_passages(texts))
        tables: dict[LegName, pa.Table] = {
            "bm25": first_stage.bm25(queries, settings=SETTINGS, depth=depth),
            "dense": first_stage.dense(encoders.embed(queries), settings=SETTINGS, depth=depth),
            "sparse": retrieve_sparse(encoders.sparse_queries(queries), [block], distinct, depth=depth),
        }
        own = index.read(np.arange(places.size, dtype=np.int32)).vectors
    vectors = np.empty_like(own)
    vectors[places] = own
    return LegsFound(tables, places, vectors)


@contextmanager
def indexed(passages: Sequence[Passage], embed: Embed) -> Iterator[ReleaseIndex]:
    """Passages in stores of their own, each a chunk, as a release has its chunks; they go when they have been read."""
    with TemporaryDirectory() as name:
        files = ReleaseFiles(Path(name))
        chunks = list(_chunks(passages))
        text_of = {chunk.chunk_hash: chunk.text for chunk in chunks}
        vectors = embed(list(text_of.values()))
        table = ChunkTable.create(LanceFolder(files.folder / "lance"), embedder="source", dimensions=vectors.shape[1])
        table.add(list(text_of), list(text_of.values()), [0] * len(text_of), vectors)  # nobody asks for lengths here
        rows = [{name: getattr(chunk, name, "") for name in CHUNKS.names} | {"metadata": "{}"} for chunk in chunks]
        chunks_file = files.scratch.chunks
        chunks_file.path.parent.mkdir()
        chunks_file.write(pa.Table.from_pylist(rows, schema=CHUNKS))
        build_bm25(
            files.statistics.path,
            chunks_file.path,
            texts_of=lambda hashes: table.batches(hashes, ["text"]),
            analyse=Analyser.of(SETTINGS.bm25),
        )
        with Bm25Store.open(files.statistics.path) as store:
            yield ReleaseIndex.of(SETTINGS, store, table, candidates=NO_CANDIDATES.empty_table())


def _chunks(passages: Sequence[Passage]) -> Iterator[Chunk]:
    ordinals: dict[str, int] = {}
    for passage in passages:
        ordinal = ordinals[passage.document_id] = ordinals.get(passage.document_id, -1) + 1
        text = passage.model_text()
        yield Chunk(passage.document_id, ordinal, text, len(text) - len(passage.text))
