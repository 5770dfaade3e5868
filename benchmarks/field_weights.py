"""What it brings to count a title's words more: BM25F over collections in BEIR layout, document by document.

    python -m benchmarks.field_weights [--data FOLDER] [--collection NAME ...] [--limit N]

nDCG@10 of BM25 alone on test queries for some weights of titles (``[bm25.fields].title``), and the change against 1.0
with its 95% interval by bootstrap. Each document is one chunk, so that nothing but the weights differs.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.beir_folders import parsed, parser
from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import CHUNKS, Chunk
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.read.account import Account
from nightrank.tasks.settings.index import Bm25FieldsSettings, Bm25Settings
from nightrank.tasks.train.reranker.validate import ndcg
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

COLLECTIONS = ("scifact", "arguana", "cran")
WEIGHTS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
DEPTH = 10


class Judged:
    """A collection with its test queries.

    Args:
        folder: In BEIR layout.
        limit: Queries at most, drawn with a fixed seed; None: all.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
        self.titles = [" ".join((row.get("title") or "").split()) for row in rows]
        leads = [f"{title}\n" if title else "" for title in self.titles]
        self.chunks = [
            Chunk(row["_id"], 0, lead + row["text"], len(lead)) for row, lead in zip(rows, leads, strict=True)
        ]
        texts = {}
        for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            texts[row["_id"]] = normalise_query(row["text"])
        self.grades: dict[str, dict[str, int]] = {}
        qrels = folder / "qrels" / "test.tsv"
        for judgment in read_judgments(qrels, name=str(qrels), account=Account()):
            if judgment.query_id in texts and judgment.grade > 0:
                self.grades.setdefault(judgment.query_id, {})[judgment.document_id] = judgment.grade
        names = sorted(self.grades)
        if limit is not None and limit < len(names):
            names = np.random.default_rng(0).choice(names, size=limit, replace=False).tolist()
        self.ids = names
        self.queries = [texts[name] for name in names]

    def measured(self, weight: float, folder: Path) -> NDArray[np.float64]:
        """nDCG@10 by query: float64 (n_queries,)."""
        settings = Bm25Settings(fields=Bm25FieldsSettings(title=weight))
        analyser = Analyser.of(settings)
        rows = [
            {name: getattr(chunk, name, "") for name in CHUNKS.names} | {"title": title, "metadata": "{}"}
            for chunk, title in zip(self.chunks, self.titles, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=CHUNKS), folder / "listed.parquet")
        said = {chunk.chunk_hash: chunk.text for chunk in self.chunks}
        texts = pa.record_batch({"chunk_hash": list(said), "text": list(said.values())})
        statistics = folder / f"title-{weight:g}.duckdb"
        build_bm25(statistics, folder / "listed.parquet", texts_of=lambda _: iter([texts]), analyse=analyser)
        with Bm25Store.open(statistics) as store:
            leg = retrieve_bm25(store, self.queries, settings=settings, analyser=analyser, depth=DEPTH + 1)
            documents = store.chunks(["document_id"])["document_id"].to_pylist()
        found: list[list[str]] = [[] for _ in self.ids]
        for row in leg.to_pylist():
            found[row["query_number"]].append(documents[row["chunk_number"]])
        return np.array([self._ndcg(name, listed) for name, listed in zip(self.ids, found, strict=True)])

    def _ndcg(self, query_id: str, listed: Sequence[str]) -> float:
        grades = self.grades[query_id]
        others = [document for document in listed if document != query_id]  # ArguAna's arguments are documents as well
        return ndcg([grades.get(document, 0) for document in others], list(grades.values()))


def main() -> None:
    """Print the table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", action="append", help=f"default: {', '.join(COLLECTIONS)}")
    command.add_argument("--limit", type=int, help="queries a collection at most")
    options = parsed(command)
    found: dict[str, dict[float, NDArray[np.float64]]] = {}
    for name in options.collection or COLLECTIONS:
        judged = Judged(options.data / name, options.limit)
        with TemporaryDirectory() as folder:
            found[name] = {weight: judged.measured(weight, Path(folder)) for weight in WEIGHTS}
    if options.json:
        print(json.dumps({name: {f"{weight:g}": _told(of, weight) for weight in of} for name, of in found.items()}))
        return
    table = Table("title's weight", *found)
    for weight in WEIGHTS:
        table.add_row(f"{weight:g}", *(_cell(of, weight) for of in found.values()))
    Console().print(table)


def _told(of: Mapping[float, NDArray[np.float64]], weight: float) -> dict[str, float]:
    change = compare_paired(of[1.0], of[weight], generator=np.random.default_rng(0))
    mean = float(of[weight].mean())
    return {"nDCG@10": mean, "change": change.difference, "low": change.low, "high": change.high}


def _cell(of: Mapping[float, NDArray[np.float64]], weight: float) -> str:
    told = _told(of, weight)
    change = "" if weight == 1.0 else f" {told['change']:+.4f} ({told['low']:+.4f} to {told['high']:+.4f})"
    return f"{told['nDCG@10']:.4f}{change}"


if __name__ == "__main__":
    main()
