"""What a collection of a size takes: bytes, hours of a GPU and of processor cores, money; from constants measured here.

    python -m benchmarks.scale -c FILE --gpu-tflops 40 --gpu-dollars 1 --core-dollars 0.05

Bytes a document, a chunk and a query are those of the live release of a workspace (the larger, the truer: DuckDB's
files are at least a quarter of a megabyte), those of a pair come from a memo of a million made-up ones. Cores are
counted by what BM25 takes on this machine for queries and chunks as ``benchmarks.bm25_speed`` makes them. What a GPU
does a second, and what an hour of it and of a core costs, is yours to say: operations are counted, not timed. It is
all for the first night; later ones cost the share that changed, but for the files that each release has anew.
``docs/how-to/size.md`` says what follows from it.
"""

from __future__ import annotations

import argparse
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.bm25_speed import QUERIES, Collection
from benchmarks.inputs.lengths import operations
from benchmarks.inputs.synthetic_texts import query_texts
from nightrank.flows.settings_file import find_settings_file, load_settings
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nightrank.storage.workspace.base import Workspace

MEASURED_CHUNKS, MEASURED_PAIRS = 200_000, 1_000_000
PAIRS = 100  # of a query: ``reranker.depth``
SIZES = (1e6, 1e7, 1e9)  # chunks
LOGS = (1e6, 1e8)  # queries
HOUR = 3600.0


class Bytes(NamedTuple):
    """Bytes that one of each takes on disk.

    Attributes:
        text: A row of LanceDB: its text, its vector.
        posting: A chunk's share of BM25's statistics.
        document: Its id and digest.
        query: Its legs, candidates, pair scores and order.
        answer: Its results, as readers see them.
        pair: An entry of the memo.
    """

    text: float
    posting: float
    document: float
    query: float
    answer: float
    pair: float


@dataclass(frozen=True, slots=True)
class Constants:
    """What one of each takes.

    Attributes:
        size: Bytes.
        chunks_a_document: Mean.
        embedding: Operations for a chunk.
        scoring: Operations for a pair.
        dimensions: Of a vector.
        asking: Core-seconds of BM25 for a query, a chunk.
        building: Core-seconds of BM25's statistics for a chunk.
    """

    size: Bytes
    chunks_a_document: float
    embedding: float
    scoring: float
    dimensions: int
    asking: float
    building: float


def bytes_of(paths: Iterable[Path]) -> int:
    """What files, or all files in folders, hold."""
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    return sum(file.stat().st_size for file in files if file.is_file())


def core_seconds(call: Callable[[], object]) -> float:
    """Processor time of all threads of this process for a call, the second of two."""
    call()
    before = resource.getrusage(resource.RUSAGE_SELF)
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def constants_of(workspace: Workspace, *, layers: int, work: Path) -> Constants:
    """Measure them.

    Args:
        workspace: With a live release that has a reranker.
        layers: Of both models.
        work: A folder for what is measured of BM25.
    """
    manifest = read_manifest(workspace, workspace.require_current())
    folder, counts = workspace.release(manifest.release_id), manifest.counts
    table = ChunkTable.open(workspace.lance, name=manifest.chunk_table.name, version=manifest.chunk_table.version)
    files = {name: bytes_of([folder / name]) for name in manifest.files}
    release = ReleaseFiles(folder)
    per_query = [release.dense_lists.path, release.candidates.path, release.queries.path]
    size = Bytes(
        text=bytes_of([workspace.root / "lance"]) / len(table),
        posting=files[release.statistics.path.name] / counts.chunks,
        document=files[release.documents.path.name] / counts.documents,
        query=bytes_of(per_query) / counts.queries,
        answer=files[release.results.path.name] / counts.queries,
        pair=_bytes_of_a_pair(work / "memo"),
    )
    lengths = np.concatenate([batch.column("tokens").to_numpy().astype(float) for batch in table.stream(["tokens"])])
    asked = release.queries.read(["text"])["text"].to_pylist()
    words = [len(text.split()) for text in asked]
    width = table.dimensions
    network = SimpleNamespace(
        config=SimpleNamespace(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers)
    )
    pairs = lengths + 1.3 * float(np.mean(words)) + 1
    collection, queries = Collection.of(work, MEASURED_CHUNKS), query_texts(QUERIES)
    building = core_seconds(collection.build)
    asking = core_seconds(lambda: collection.retrieve(queries))
    return Constants(
        size=size,
        chunks_a_document=counts.chunks / counts.documents,
        embedding=operations(lengths, network, first_only=False) / lengths.size,
        scoring=operations(pairs, network, first_only=True) / lengths.size,
        dimensions=width,
        asking=asking / QUERIES / MEASURED_CHUNKS,
        building=building / MEASURED_CHUNKS,
    )


def _bytes_of_a_pair(folder: Path) -> float:
    """Of a memo of made-up pairs, which come by length and so by no key."""
    shutil.rmtree(folder, ignore_errors=True)
    generator = np.random.default_rng(0)
    queries = pa.array(_keys(generator, MEASURED_PAIRS // PAIRS))
    with PairMemo(folder, reranker="made-up") as memo:
        for _ in range(100):
            asked = queries.take(pa.array(generator.integers(len(queries), size=MEASURED_PAIRS // 100)))
            pairs = pa.table({"query_key": asked, "chunk_hash": _keys(generator, len(asked))})
            memo.append(pairs, generator.standard_normal(len(asked), dtype=np.float32))
    return bytes_of([folder]) / MEASURED_PAIRS


def _keys(generator: np.random.Generator, count: int) -> list[str]:
    return [row.tobytes().hex() for row in generator.integers(256, size=(count, 16), dtype=np.uint8)]


def plan(constants: Constants, *, gpu: float, gpu_dollars: float, core_dollars: float) -> Table:
    """What collections and logs of the sizes take, as a table.

    Args:
        constants: What one of each takes.
        gpu: Operations that the models reach on a GPU, a second.
        gpu_dollars: For an hour of it.
        core_dollars: For an hour of a core.
    """
    table = Table("chunks", "queries", *COLUMNS)
    for chunks in SIZES:
        for queries in LOGS:
            pairs = queries * PAIRS
            size, documents = constants.size, chunks / constants.chunks_a_document
            release = chunks * size.posting + documents * size.document + queries * size.query
            embed, score = chunks * constants.embedding / gpu, pairs * constants.scoring / gpu
            dense = 2.0 * chunks * queries * constants.dimensions / gpu
            bm25 = chunks * constants.building + chunks * queries * constants.asking
            table.add_row(
                _short(chunks),
                _short(queries),
                _bytes(chunks * size.text),
                _bytes(release),
                _bytes(queries * size.answer),
                _bytes(pairs * size.pair),
                *map(_hours, (embed, score, dense, bm25)),
                f"{((embed + score + dense) * gpu_dollars + bm25 * core_dollars) / HOUR:,.0f}",
            )
    return table


COLUMNS = (
    "LanceDB",
    "a release, without results",
    "its results",
    "memo of pairs",
    "GPU hours: embed",
    "rerank",
    "dense leg",
    "core hours: BM25",
    "dollars",
)


def main() -> None:
    """Print the constants and the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, required=True, help="settings of a workspace with a live release")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="for what is measured of BM25")
    parser.add_argument("--layers", type=int, default=6, help="of both models (default: MiniLM's 6)")
    parser.add_argument("--gpu-tflops", type=float, default=40.0, help="that the models reach on a GPU")
    parser.add_argument("--gpu-dollars", type=float, default=1.0, help="for an hour of it")
    parser.add_argument("--core-dollars", type=float, default=0.05, help="for an hour of a core")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    workspace = load_settings(find_settings_file(options.config)).workspace
    constants = constants_of(workspace, layers=options.layers, work=options.work)
    console = Console(width=200)
    reported = Table("one", "takes")
    for name, value in constants.size._asdict().items():
        reported.add_row(f"bytes: {name}", f"{value:,.0f}")
    reported.add_row("chunks a document", f"{constants.chunks_a_document:.2f}")
    reported.add_row("pairs a query", str(PAIRS))
    reported.add_row("operations to embed a chunk", f"{constants.embedding:.2e}")
    reported.add_row("operations to score a pair", f"{constants.scoring:.2e}")
    reported.add_row("core-seconds of BM25 to build for a million chunks", f"{constants.building * 1e6:.0f}")
    reported.add_row(
        "core-seconds of BM25 to ask a thousand queries of a million chunks", f"{constants.asking * 1e9:.2f}"
    )
    console.print(reported)
    prices = {"gpu_dollars": options.gpu_dollars, "core_dollars": options.core_dollars}
    console.print(plan(constants, gpu=options.gpu_tflops * 1e12, **prices))


def _short(count: float) -> str:
    return f"{count / 1e6:,.0f} M"


def _bytes(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.1f} GB"


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR:,.1f}" if seconds < 1000 * HOUR else f"{seconds / HOUR:,.0f}"


if __name__ == "__main__":
    main()
