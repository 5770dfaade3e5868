"""What does a lower precision of the reranker gain, and what does it cost? Queries of training and validation alone.

    python -m benchmarks.precisions --data FOLDER [--model NAME] [--queries N] [--depth N]

The packaged reranker, or another, scores the best passages by BM25 of some queries of each collection, once in float32
and once in another precision (``--precision``, bfloat16), in turn. It tells pairs per CPU second, the share of queries
whose ten best passages are the same, and the same in the same order, and nDCG@10. A precision pays where it is faster,
the ten best stay for 99 % of the queries, and nDCG@10 moves by no more than 0.001: ``[reranker].precision`` should then
choose it by itself. No query of a test split is asked: what is chosen here is measured there.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ir_measures
import numpy as np
from rank_bm25 import BM25Okapi
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from numpy.typing import NDArray

FOLDERS = (("scifact", "train"), ("fairytaleqa", "val"))  # in BEIR layout, and the split that is asked
PAIRS = ("squad_dev", "medquad", "stackfaq")  # files of queries and their passages, as of ``training``
PASSAGES = 4000  # of such a file
BEST = 10
SAME_TARGET, NDCG_TARGET = 0.99, 0.001


class Asked(NamedTuple):
    """A query, its candidates, and which of all passages answer it."""

    query: str
    passages: list[int]
    grades: dict[int, int]


class Collection(NamedTuple):
    """Passages, and some queries."""

    name: str
    passages: list[str]
    asked: list[Asked]


class Scored(NamedTuple):
    """What one precision made of a collection: scores (n_queries, n_candidates), and its CPU seconds."""

    scores: list[NDArray[np.float32]]
    seconds: float


class Row(NamedTuple):
    """One precision on one collection, beside float32.

    Attributes:
        faster: How many times as many pairs per CPU second.
        same: Share of queries whose ten best passages are the same.
        same_order: Share of queries whose ten best are the same in the same order.
        ndcg: nDCG@10 of float32, and of the other precision.
        largest: Difference of two scores.
    """

    collection: str
    precision: str
    queries: int
    pairs_per_second: float
    faster: float
    same: float
    same_order: float
    ndcg: tuple[float, float]
    largest: float

    @property
    def pays(self) -> bool:
        """Whether ``auto`` should choose it."""
        moved = abs(self.ndcg[1] - self.ndcg[0])
        return self.faster > 1.0 and self.same >= SAME_TARGET and moved <= NDCG_TARGET


def main() -> None:
    """Print the table."""
    command = parser(__doc__ or "")
    command.set_defaults(precision="bfloat16")
    command.add_argument("--model", default="nightrank-minilm", help="a name, a folder or a hub id")
    command.add_argument("--queries", type=int, default=100, help="of each collection")
    command.add_argument("--depth", type=int, default=20, help="candidates of each query")
    options = parsed(command)
    models = [_reranker(options.model, name) for name in ("float32", options.precision)]
    rows = [row_of(one, *models) for one in collections(options)]
    if options.json:
        print(json.dumps([{**row._asdict(), "pays": row.pays} for row in rows]))
    else:
        Console(width=140).print(table_of(rows))


def collections(options: argparse.Namespace) -> list[Collection]:
    """The collections that are there, each with its queries and their candidates."""
    sizes = {"queries": options.queries, "depth": options.depth}
    there = [(options.data / name, split) for name, split in FOLDERS if (options.data / name).is_dir()]
    files = [options.data / "training" / f"{name}.jsonl" for name in PAIRS]
    folders = [_of_folder(folder, split, **sizes) for folder, split in there]
    return [*folders, *(_of_pairs(path, **sizes) for path in files if path.is_file())]


def row_of(collection: Collection, exact: Reranker, other: Reranker) -> Row:
    """A reranker in another precision beside the same in float32, on a collection."""
    (scores, seconds), (others, other_seconds) = _scored(collection, [exact, other])
    best = [
        [np.argsort(-found, kind="stable")[:BEST].tolist() for found in each]
        for each in zip(scores, others, strict=True)
    ]
    return Row(
        collection=collection.name,
        precision=other.plan.precision,
        queries=len(collection.asked),
        pairs_per_second=sum(found.size for found in others) / other_seconds,
        faster=seconds / other_seconds,
        same=float(np.mean([set(one) == set(two) for one, two in best])),
        same_order=float(np.mean([one == two for one, two in best])),
        ndcg=(_ndcg(collection, scores), _ndcg(collection, others)),
        largest=max(float(np.abs(one - two).max()) for one, two in zip(scores, others, strict=True)),
    )


def table_of(rows: Sequence[Row]) -> Table:
    """Rows as a table for a terminal."""
    table = Table()
    for column in ("collection", "precision", "queries", "pairs per CPU second", "times float32", "same ten"):
        table.add_column(column)
    for column in ("same order", "nDCG@10 float32", "nDCG@10", "largest difference", "pays"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.collection,
            row.precision,
            str(row.queries),
            f"{row.pairs_per_second:.0f}",
            f"{row.faster:.2f}",
            f"{row.same:.1%}",
            f"{row.same_order:.1%}",
            *(f"{value:.4f}" for value in row.ndcg),
            f"{row.largest:.2g}",
            "yes" if row.pays else "no",
        )
    return table


def _scored(collection: Collection, models: Sequence[Reranker]) -> list[Scored]:
    """What each model makes of a collection's pairs, ten queries at a time, in turn."""
    scores: list[list[NDArray[np.float32]]] = [[] for _ in models]
    seconds = [0.0 for _ in models]
    for start in range(0, len(collection.asked), 10):
        part = collection.asked[start : start + 10]
        queries = [one.query for one in part for _ in one.passages]
        texts = [collection.passages[place] for one in part for place in one.passages]
        bounds = np.cumsum([len(one.passages) for one in part])[:-1]
        for place, model in enumerate(models):
            began = time.process_time()
            found = model.score(queries, texts, np.zeros(len(texts), dtype=np.int64))
            seconds[place] += time.process_time() - began
            scores[place] += np.split(found, bounds)
    return [Scored(*each) for each in zip(scores, seconds, strict=True)]


def _ndcg(collection: Collection, scores: Sequence[NDArray[np.float32]]) -> float:
    qrels, run = [], []
    for number, (one, found) in enumerate(zip(collection.asked, scores, strict=True)):
        qrels += [ir_measures.Qrel(str(number), str(place), grade) for place, grade in one.grades.items()]
        run += [
            ir_measures.ScoredDoc(str(number), str(place), float(score))
            for place, score in zip(one.passages, found, strict=True)
        ]
    measure = ir_measures.nDCG @ BEST
    return float(ir_measures.calc_aggregate([measure], qrels, run)[measure])


def _of_folder(folder: Path, split: str, *, queries: int, depth: int) -> Collection:
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    places = {row["_id"]: place for place, row in enumerate(rows)}
    grades: dict[str, dict[int, int]] = {}
    for line in (folder / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades.setdefault(query, {})[places[document]] = int(grade)
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    passages = [f"{row.get('title') or ''}\n{row['text']}".strip() for row in rows]
    judged = [(texts[query], found) for query, found in grades.items()]
    return _collection(f"{folder.name} {split}", passages, judged, queries=queries, depth=depth)


def _of_pairs(path: Path, *, queries: int, depth: int) -> Collection:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    places: dict[str, int] = {}
    judged = []
    for row in rows[:PASSAGES]:
        place = places.setdefault(f"{row['title']}\n{row['text']}".strip(), len(places))
        judged.append((row["query"], {place: 1}))
    return _collection(path.stem, list(places), judged, queries=queries, depth=depth)


def _collection(
    name: str, passages: list[str], judged: list[tuple[str, dict[int, int]]], *, queries: int, depth: int
) -> Collection:
    """Some of the queries, drawn with a fixed seed, and their candidates by BM25."""
    index = BM25Okapi([passage.lower().split() for passage in passages])
    asked = []
    for query, grades in random.Random(1).sample(judged, min(queries, len(judged))):
        found = np.argsort(-index.get_scores(query.lower().split()), kind="stable")[:depth]
        asked.append(Asked(query, found.tolist(), grades))
    return Collection(name, passages, asked)


def _reranker(model: str, precision: str) -> Reranker:
    settings = RerankerSettings.model_validate({"model": model, "precision": precision})
    return Reranker(plan_local(settings, ExecutionSettings(device="cpu"), base=Path()))


if __name__ == "__main__":
    main()
