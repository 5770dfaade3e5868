"""Whether known items order settings as people's judgments do: Kendall's tau, with masking and without.

Collections in BEIR layout under ``--data``, and the demo. A night with default settings is run on a sample of people's
queries; then the same variants (legs, fusions and their weights, with the reranker and without) are measured by
people's judgments and by titles and headings that ask for their own documents, these words masked in what is searched,
and not masked. Tau-b of the means of nDCG@10; in brackets, for how many pairs of variants people see a difference of
0.01 or more, and the share of these on which known items agree:

    python -m benchmarks.known_items [--collection NAME ...] [--queries N] [--items N] [--depth N]
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from benchmarks.inputs.beir_folders import parsed, parser, write_settings
from benchmarks.inputs.demo_settings import write_demo_settings
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.evaluate.measures import evaluate_stages
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.judgments.known_items.copies import Copies, TextsWithCopies
from nightrank.tasks.judgments.known_items.items import known_items
from nightrank.tasks.judgments.known_items.legs import CopyScores, dense_of_copies, legs_with_copies
from nightrank.tasks.judgments.known_items.rank import FusedItems, judgments_of_items, queries_of_items
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.rank.candidate_grams import texts_by_key, with_grams
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.read.account import Account
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.rerank.pairs import DriftCheck, PairTexts, score_pairs
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from benchmarks.parts.settings_files import Sections
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.settings.whole import Settings

COLLECTIONS = ("scifact", "fairytaleqa", "cran", "cystic_fibrosis", "demo", "arguana", "climate_fever")
MEASURE = "nDCG@10"
SEEN = 0.01  # a difference of means that people's judgments are taken to show
VARIANTS: Mapping[str, Mapping[str, JsonValue]] = {
    "BM25": {"retrieval.legs": ["bm25"], "reranker.model": "none", "results.order": "weighted"},
    "dense": {"retrieval.legs": ["dense"], "reranker.model": "none", "results.order": "weighted"},
    "RRF": {"retrieval.fusion": "rrf", "reranker.model": "none", "results.order": "weighted"},
    "min-max": {"retrieval.fusion": "minmax", "reranker.model": "none", "results.order": "weighted"},
    "BM25 heavy": {
        "retrieval.fusion": "minmax",
        "retrieval.weights.bm25": 0.8,
        "retrieval.weights.dense": 0.2,
        "reranker.model": "none",
        "results.order": "weighted",
    },
    "dense heavy": {
        "retrieval.fusion": "minmax",
        "retrieval.weights.bm25": 0.2,
        "retrieval.weights.dense": 0.8,
        "reranker.model": "none",
        "results.order": "weighted",
    },
    "learned, no reranker": {"reranker.model": "none"},
    "BM25, reranked": {"retrieval.legs": ["bm25"], "results.order": "weighted"},
    "dense, reranked": {"retrieval.legs": ["dense"], "results.order": "weighted"},
    "reranker alone": {"reranker.weight": 1.0, "results.order": "weighted"},
    "reranker at half": {"reranker.weight": 0.5, "results.order": "weighted"},
    "as published": {},
}


@dataclass(frozen=True, slots=True)
class Row:
    """A collection.

    Attributes:
        queries: People's.
        items: Known ones.
        people: The mean of each variant by people's judgments.
        masked: By known items, masked.
        plain: By known items, not masked.
        seconds: That the night and the measuring took.
    """

    collection: str
    queries: int
    items: int
    people: dict[str, float]
    masked: dict[str, float]
    plain: dict[str, float]
    seconds: float

    def tau(self, other: Mapping[str, float]) -> float:
        """Kendall's tau-b between people's order and another."""
        return float(kendalltau(list(self.people.values()), [other[name] for name in self.people]).statistic)

    def agreement(self, other: Mapping[str, float]) -> tuple[int, float]:
        """Pairs of variants that people tell apart, and the share of them that another order has likewise."""
        apart = [
            (other[one] - other[two]) * (self.people[one] - self.people[two]) > 0
            for one, two in combinations(self.people, 2)
            if abs(self.people[one] - self.people[two]) >= SEEN
        ]
        return len(apart), float(np.mean(apart)) if apart else 0.0


def settings_of(name: str, options: argparse.Namespace) -> Path:
    """The settings file of a collection, with a sample of its judged queries."""
    work = options.work / name
    sections: Sections = {
        "reranker": {"depth": options.depth, "precision": options.precision},
        "evaluation": {"timed_queries": "none"},
    }
    if name == "demo":
        return write_demo_settings(work, "known_items", sections={**sections, "queries": {"budget": options.queries}})
    return write_settings(
        options.data / name,
        work,
        "known_items",
        split="test",
        query_limit=options.queries,
        sections={**sections, "judgments": {"ignore_identical_ids": name == "arguana"}},
    )


def row_of(name: str, options: argparse.Namespace) -> Row:
    """Run a collection's night, and measure the variants three times."""
    start = time.perf_counter()
    path = settings_of(name, options)
    refresh_plainly(path)
    configuration = load_settings(path, anew=True)
    settings, base = configuration.settings, configuration.base
    judgments = read_judgments(base / str(settings.judgments.qrels), name="qrels", account=Account())
    release = StoredRelease.open(configuration.workspace)
    judged = {one for row in release.judged_queries(judgments).column("query_ids").to_pylist() for one in row}
    judgments = [judgment for judgment in judgments if judgment.query_id in judged]
    variants = {name: varied(settings, changes) for name, changes in VARIANTS.items()}
    with Experiment.open(
        configuration.workspace, settings, judgments, base=base, now=datetime.now(UTC), measures=[MEASURE]
    ) as experiment:
        experiment.prepare(list(variants.values()))
        people = {name: _mean(experiment.evaluate(variant).evaluation) for name, variant in variants.items()}
    items, masked = by_known_items(configuration, release, variants, options, masked=True)
    _, plain = by_known_items(configuration, release, variants, options, masked=False)
    return Row(name, len(judged), items, people, masked, plain, time.perf_counter() - start)


def by_known_items(
    configuration: Configuration,
    release: StoredRelease,
    variants: Mapping[str, Settings],
    options: argparse.Namespace,
    *,
    masked: bool,
) -> tuple[int, dict[str, float]]:
    """How many known items there are, and the mean of each variant by them."""
    settings, base = configuration.settings, configuration.base
    plan = plan_embedder(settings.embedder, settings.execution, base=base)
    embedder, table = Embedder(plan), release.chunk_table()
    documents = configuration.base / "known_items.documents.parquet"
    _write_documents(configuration, documents)
    with Bm25Store.open(release.files.statistics.path) as store:
        copies = Copies.of(known_items(documents), store, table, count=options.items, masked=masked)
        first_stage = FirstStage.over(store, StoredVectors(table))
        queries = embedder.embed_queries([item.text for item in copies.items])
        dense = dense_of_copies(copies, queries, embedder.embed_passages(copies.texts))
        legs = legs_with_copies(copies, first_stage, QueryVectors(queries), CopyScores(dense), settings=settings)
        says = TextsWithCopies(table, copies, load_token_counter(plan.files.folder))
        texts = PairTexts.of(copies.queries(), says)

        def grams(pairs: pa.Table) -> pa.Table:
            return with_grams(pairs, texts_by_key(copies.queries()), says)

        def score(pairs: pa.Table) -> NDArray[np.float32]:
            found = plan_reranker(settings.reranker, settings.execution, base=base)
            assert found is not None
            watch = DriftCheck(settings.drift_check, found.precision, np.random.default_rng(0))
            with PairMemo(configuration.workspace.memo, reranker=found.fingerprint) as memo:
                load = LazyReranker(found, settings).load
                return score_pairs(pairs, memo, texts, load=load, drift_check=watch)[0]

        means = {}
        for name, variant in variants.items():
            reranker = plan_reranker(variant.reranker, variant.execution, base=base)
            weight = 0.0 if reranker is None else reranker.weight
            weight = weight if variant.reranker.weight is None else variant.reranker.weight
            fused = FusedItems.of(
                {leg: legs[leg] for leg in variant.retrieval.legs},
                copies,
                store,
                documents=first_stage.documents(variant),
                settings=variant,
            )
            weighing = Weighing.of(
                variant, learned_order(variant, base=base), weight=weight, log=release.log_means(variant)
            )
            ranked = fused.ranked(variant, weighing=weighing, score=None if reranker is None else score, grams=grams)
            means[name] = _mean(
                evaluate_stages(
                    ranked,
                    queries_of_items(copies.queries(), copies.items),
                    judgments_of_items(copies.items),
                    measures=[MEASURE],
                    legs=variant.retrieval.legs,
                    candidate_depth=variant.retrieval.candidate_depth,
                    results=variant.results,
                    ignore_identical_ids=False,
                )
            )
    return len(copies.items), means


def _write_documents(configuration: Configuration, path: Path) -> None:
    """The collection once more as a night reads it: the release keeps no texts of documents."""
    from nightrank.storage.files.parquet import RowWriter
    from nightrank.storage.records import BadRow
    from nightrank.storage.release.documents import RAW_DOCUMENTS, deduplicate_documents, raw_row
    from nightrank.tasks.read.source import read_documents

    raw = path.with_suffix(".raw.parquet")
    with RowWriter(raw, RAW_DOCUMENTS) as rows:
        read = read_documents(configuration.settings.documents, base=configuration.base, account=Account())
        for position, row in enumerate(read):
            if not isinstance(row, BadRow):
                rows.write(raw_row(row, position=position))
    for _ in deduplicate_documents(raw, path):
        pass


def _mean(evaluation: pa.Table) -> float:
    return float(np.mean([row["value"] for row in evaluation.to_pylist() if row["stage"] == "results"]))


def tables_of(rows: Sequence[Row]) -> list[Table]:
    """The rows for people: tau, and each variant's means."""
    taus = Table("collection", "queries", "items", "tau, masked", "agrees", "tau, not masked", "agrees", "seconds")
    for row in rows:
        (apart, agreed), (_, plainly) = row.agreement(row.masked), row.agreement(row.plain)
        taus.add_row(
            row.collection,
            str(row.queries),
            str(row.items),
            f"{row.tau(row.masked):+.2f}",
            f"{agreed:.0%} of {apart}",
            f"{row.tau(row.plain):+.2f}",
            f"{plainly:.0%}",
            f"{row.seconds:.0f}",
        )
    means = Table(f"{MEASURE}: people / masked / not masked", *(row.collection for row in rows))
    for name in VARIANTS:
        means.add_row(
            name, *(f"{row.people[name]:.3f} / {row.masked[name]:.3f} / {row.plain[name]:.3f}" for row in rows)
        )
    return [taus, means]


def main() -> None:
    """Run the nights that are not there yet, measure, and print the tables."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", nargs="+", default=list(COLLECTIONS), help="folders under --data, or demo")
    command.add_argument("--queries", type=int, default=60, help="people's queries at most")
    command.add_argument("--items", type=int, default=60, help="known items at most")
    command.add_argument("--depth", type=int, default=20, help="candidates reranked")
    options = parsed(command)
    rows = []
    for name in options.collection:
        rows.append(row_of(name, options))
        if not options.json:
            for table in tables_of(rows[-1:]):
                Console(width=160).print(table)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
