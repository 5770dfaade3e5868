"""What it brings to count a title's words more: BM25F over collections in BEIR layout, and the demo.

    python -m benchmarks.field_weights [--data FOLDER] [--collection NAME ...] [--limit N]

nDCG@10 of BM25 alone on test queries for some weights of titles (``[bm25.fields].title``), and the change against 1.0
with its 95% interval by bootstrap. Documents in BEIR layout are one chunk each; the demo's pages are cut as a night
cuts them, and found by their best chunk.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser
from benchmarks.inputs.demo_documents import demo_documents
from benchmarks.parts.lexical import bm25_rankings
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import Chunk, Document
from nightrank.tasks.chunk.boundaries import chunk_document
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.models.files import find_model
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.read.account import Account
from nightrank.tasks.settings.index import Bm25FieldsSettings, Bm25Settings, ChunkingSettings, EmbedderSettings
from nightrank.tasks.train.reranker.validate import ndcg
from nightrank.tasks.train.sources import beir_passages
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

COLLECTIONS = ("scifact", "arguana", "cran", "demo")
WEIGHTS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
DEPTH = 10


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A collection with its test queries.

    Attributes:
        chunks: All of them, with titles and headings before their passages.
        titles: Of the documents, by their ids.
        queries: Normalised.
        ids: Theirs.
        grades: Of each by id, the relevant documents'.
    """

    chunks: Sequence[Chunk]
    titles: Mapping[str, str]
    queries: Sequence[str]
    ids: Sequence[str]
    grades: Mapping[str, Mapping[str, int]]

    @classmethod
    def of_beir(cls, folder: Path, limit: int | None) -> Judged:
        """A collection in BEIR layout, each document a chunk.

        Args:
            folder: It.
            limit: Queries at most, drawn with a fixed seed; None: all.
        """
        titles, chunks = {}, []
        for passage in beir_passages(folder):
            titles[passage.document_id] = title = " ".join(passage.title.split())
            lead = f"{title}\n" if title else ""
            chunks.append(Chunk(passage.document_id, 0, lead + passage.text, len(lead)))
        rows = _rows_of(folder / "queries.jsonl")
        texts = {row["_id"]: normalise_query(row["text"]) for row in rows}
        return cls(chunks, titles, *_asked(texts, folder / "qrels" / "test.tsv", limit))

    @classmethod
    def of_demo(cls, limit: int | None) -> Judged:
        """The example that comes with Nightrank, cut into chunks as a night cuts it.

        Args:
            limit: Queries at most; None: all.
        """
        embedder = find_model(EmbedderSettings().model, base=Path(), revision=None, sha256=None)
        count_tokens, settings = load_token_counter(embedder.folder), ChunkingSettings()
        titles, chunks = {}, []
        for row in demo_documents():
            titles[row["_id"]] = row["title"]
            document = Document(row["_id"], row["title"], row["text"], {}, "", 1)
            chunks += chunk_document(document, settings=settings, count_tokens=count_tokens)
        with as_file(files("nightrank.flows.demo")) as folder:
            texts = {row["query_id"]: normalise_query(row["query"]) for row in _rows_of(folder / "queries.jsonl")}
            return cls(chunks, titles, *_asked(texts, folder / "qrels.tsv", limit))

    def measured(self, weight: float) -> NDArray[np.float64]:
        """nDCG@10 by query: float64 (n_queries,)."""
        settings = Bm25Settings(fields=Bm25FieldsSettings(title=weight))
        found = bm25_rankings(self.chunks, self.queries, settings=settings, depth=DEPTH + 1, titles=self.titles)
        return np.array([self._ndcg(name, listed) for name, listed in zip(self.ids, found, strict=True)])

    def _ndcg(self, query_id: str, listed: Sequence[str]) -> float:
        grades = self.grades[query_id]
        others = [document for document in listed if document != query_id]  # ArguAna's arguments are documents as well
        return ndcg([grades.get(document, 0) for document in others], list(grades.values()))


def _rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _asked(
    texts: Mapping[str, str], qrels: Path, limit: int | None
) -> tuple[list[str], list[str], dict[str, dict[str, int]]]:
    """Judged queries, their ids, and the grades of the documents that are relevant to each."""
    grades: dict[str, dict[str, int]] = {}
    for judgment in read_judgments(qrels, name=str(qrels), account=Account()):
        if judgment.query_id in texts and judgment.grade > 0:
            grades.setdefault(judgment.query_id, {})[judgment.document_id] = judgment.grade
    names = sorted(grades)
    if limit is not None and limit < len(names):
        names = np.random.default_rng(0).choice(names, size=limit, replace=False).tolist()
    return [texts[name] for name in names], names, grades


def main() -> None:
    """Print the table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", action="append", help=f"default: {', '.join(COLLECTIONS)}")
    command.add_argument("--limit", type=int, help="queries a collection at most")
    options = parsed(command)
    found: dict[str, dict[float, NDArray[np.float64]]] = {}
    for name in options.collection or COLLECTIONS:
        demo = name == "demo"
        judged = Judged.of_demo(options.limit) if demo else Judged.of_beir(options.data / name, options.limit)
        found[name] = {weight: judged.measured(weight) for weight in WEIGHTS}
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
