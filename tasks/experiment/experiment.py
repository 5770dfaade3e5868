"""A night once more, in memory: the judged queries of a stored release under other settings.

Stores, models and stages are the night's own, so a variant equal to the settings gives what the release holds, and any
other what a refresh with it would publish. What variants share is made once: the dense leg, a BM25 leg for each
formula and weighting of fields, pair scores.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError
from nightrank.storage.wide import WideRows, coded, rows_at
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.boundaries import chunking_fingerprint
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.evaluate.diversity import compare_diversity
from nightrank.tasks.evaluate.judged_candidates import JudgedCandidates
from nightrank.tasks.evaluate.measures import evaluate_stages, means, named_queries
from nightrank.tasks.experiment.legs import Legs
from nightrank.tasks.experiment.pairs import KnownGrams, KnownPairs, PairScoring, stored_scores
from nightrank.tasks.experiment.scans import Scans
from nightrank.tasks.experiment.values import VariantValues
from nightrank.tasks.experiment.variants import require_variant
from nightrank.tasks.experiment.weighted import WeightedStages, fields_there
from nightrank.tasks.first_stage import FirstStage
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.fusion import fuse, union_legs
from nightrank.tasks.rank.grams import gram_shares
from nightrank.tasks.rank.order import CHUNK_NAMES, Weighing, final_order, name_candidates, reranked_rows
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.hosted.spending import SpendingBySection
from nightrank.tasks.rerank.pairs import distinct
from nightrank.tasks.sparse.stored import planned_sparse
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from nightrank.storage.records import Judgment
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.ranking import RerankerSettings
    from nightrank.tasks.settings.whole import Settings

CHANGED = {
    "embedder": "[embedder]",
    "chunking": "[chunking] or the embedder's tokenizer",
    "analysis": "[bm25].language, stop_words, fold_accents or fields",
    "sparse": "[sparse] encoder",
}


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a variant of the settings makes of the judged queries.

    Attributes:
        settings: The variant.
        candidates: Schema CANDIDATES, by query, then rank.
        evaluation: Schema EVALUATION.
    """

    settings: Settings
    candidates: pa.Table
    evaluation: pa.Table

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """The mean of each measure by stage, over all judged queries."""
        return means(self.evaluation)


class Experiment:
    """The judged queries of a release, to be answered under variants of the settings; made by ``Experiment.open``.

    Attributes:
        release: Over whose stores.
        settings: What variants are variants of.
        judgments: The qrels.
        queries: The judged queries that the release answers, schema QUERIES.
    """

    def __init__(
        self,
        release: StoredRelease,
        store: Bm25Store,
        settings: Settings,
        judgments: Sequence[Judgment],
        *,
        base: Path,
        measures: Sequence[str],
        now: datetime,
        seed: int,
        spending: SpendingBySection,
        folder: Path,
        opened: ExitStack,
    ) -> None:
        self.release = release
        self.settings = settings
        self.judgments = judgments
        self.queries = release.judged_queries(judgments)
        self._base = base
        self._measures = measures
        self._now = now
        self._seed = seed
        self._spending = spending
        chunks = store.chunks(list(CHUNK_NAMES))
        self._chunks, self._documents = WideRows(chunks), coded(chunks.column("document_id"))
        self._table = release.chunk_table()
        self._first_stage = FirstStage.over(store, StoredVectors(self._table))
        scans = Scans(release, self._first_stage, self.queries, now)
        weighted = WeightedStages(self._first_stage, settings.bm25, self._table, folder=folder, opened=opened)
        self._legs = Legs(release, self._first_stage, self.queries, bm25_stage=weighted.of, scanned=scans.leg)
        self._plans: dict[RerankerSettings, RerankerPlan | HostedPlan | None] = {}
        self._known: dict[str, KnownPairs] = {}
        candidates = release.candidates(self.queries)
        self._known_of(release.manifest.inputs.reranker_fingerprint).add(*stored_scores(candidates))
        self._grams = KnownGrams(self.queries, self._table, candidates)

    @classmethod
    @contextmanager
    def open(
        cls,
        workspace: Workspace,
        settings: Settings,
        judgments: Sequence[Judgment],
        *,
        base: Path,
        now: datetime,
        release_id: str | None = None,
        measures: Sequence[str] | None = None,
        seed: int = 0,
        spending: SpendingBySection | None = None,
    ) -> Iterator[Experiment]:
        """Open the stores of a release; while they are open, no version of its vectors is removed.

        Args:
            workspace: Where the release is.
            settings: What variants are variants of.
            judgments: The qrels.
            base: The folder that paths in the settings are relative to.
            now: For whoever finds the workspace's writer held while pairs are scored.
            release_id: Of the release; None for the current one.
            measures: As ir_measures writes them; None for the settings' own.
            seed: Of the sample by which a reranker is watched.
            spending: What the run spent so far on hosted rerankers; None where it begins here.

        Raises:
            InputError: There is no such release, or the settings would make other chunks, vectors or terms than it has.
        """
        with workspace.reading():
            release = StoredRelease.open(workspace, release_id)
            _require_same_stores(release, settings, base=base)
            with ExitStack() as opened:
                folder = Path(opened.enter_context(TemporaryDirectory(prefix="nightrank-")))
                yield cls(
                    release,
                    opened.enter_context(Bm25Store.open(release.files.statistics.path)),
                    settings,
                    judgments,
                    base=base,
                    measures=settings.evaluation.measures if measures is None else measures,
                    now=now,
                    seed=seed,
                    spending=SpendingBySection() if spending is None else spending,
                    folder=folder,
                    opened=opened,
                )

    def evaluate(self, settings: Settings) -> Outcome:
        """What a variant makes of the judged queries.

        Pairs that nobody has scored yet are scored, and kept in the workspace's memo.

        Raises:
            InputError: It is no variant: it would make other chunks, vectors, terms or queries.
            WorkspaceBusy: Pairs must be scored, and another run holds the workspace.
        """
        self.prepare([settings])
        fused = self._fused(settings)
        candidates = name_candidates(fused, self.queries, self._chunks.at(fused.column("chunk_number")))
        pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
        plan = self._plan(settings.reranker)
        if plan is not None:
            asked = reranked_rows(fused, settings)
            pair_scores[asked] = self._known_of(plan.fingerprint).scores_of(rows_at(candidates, asked))
        weighing = self._weighing(settings)
        if weighing.learned is not None:
            candidates = self._grams.beside(candidates)
        ranked = final_order(candidates, fused, pair_scores, weighing=weighing)
        evaluation = evaluate_stages(
            ranked,
            self.queries,
            self.judgments,
            measures=self._measures,
            legs=settings.retrieval.legs,
            candidate_depth=settings.retrieval.candidate_depth,
            results=settings.results,
            vectors=stored_vectors(self._table),
            ignore_identical_ids=self.settings.judgments.ignore_identical_ids,
        )
        return Outcome(settings, ranked, evaluation)

    def prepare(self, variants: Sequence[Settings]) -> int:
        """Have everything at hand that some variants need, at once, so that running them costs little.

        Returns:
            How many pairs had to be scored.

        Raises:
            InputError: One is no variant: it would make other chunks, vectors, terms or queries; or a hosted reranker's
                spending cap leaves pairs without a score.
            WorkspaceBusy: Pairs must be scored, and another run holds the workspace.
        """
        for settings in variants:
            require_variant(self.settings, settings, name="The variant")
            self._require_legs(settings)
        self._legs.expect(variants)
        wanted: dict[str, tuple[RerankerPlan | HostedPlan, list[pa.Table]]] = {}
        incomplete: set[str] = set()
        for settings in variants:
            plan = self._plan(settings.reranker)
            if plan is None:
                continue
            pairs = self._pairs(settings)
            wanted.setdefault(plan.fingerprint, (plan, []))[1].append(pairs)
            if np.isnan(self._known_of(plan.fingerprint).scores_of(pairs)).any():
                incomplete.add(plan.fingerprint)
        return self._score([wanted[fingerprint] for fingerprint in wanted if fingerprint in incomplete])

    def diversity(self, outcome: Outcome) -> pa.Table:
        """What a variant's diverse results cost and gain, schema COMPARISON; empty where they are not diversified."""
        settings = outcome.settings
        return compare_diversity(
            outcome.candidates,
            self.queries,
            self.judgments,
            measures=self._measures,
            candidate_depth=settings.retrieval.candidate_depth,
            results=settings.results,
            ignore_identical_ids=self.settings.judgments.ignore_identical_ids,
            vectors=stored_vectors(self._table),
            generator=np.random.default_rng(self._seed),
        )

    def values(self, settings: Settings) -> VariantValues:
        """What fusions, weights and depths are worth under a variant's BM25, candidate depth and reranker."""
        judged = self._judged_pool(settings)
        return VariantValues(
            judged,
            lambda: self._known_pair_scores(judged, settings),
            cache(lambda: self._gram_shares(judged)),
            self._weighing(settings),
        )

    def fields(self) -> tuple[bool, bool]:
        """Whether any chunk has a title, and whether any has headings."""
        return fields_there(self._first_stage)

    def weight_of(self, settings: Settings) -> float:
        """The weight of a variant's reranker: the settings', else its own; 0 without a reranker."""
        return _weight(self._plan(settings.reranker), settings)

    def _weighing(self, settings: Settings) -> Weighing:
        """Of the final order, with what lists say in the mean over the release's log."""
        weight = _weight(self._plan(settings.reranker), settings)
        learned = learned_order(settings, base=self._base)
        return Weighing.of(settings, learned, weight=weight, log=self.release.log_means(settings))

    def _judged_pool(self, settings: Settings) -> JudgedCandidates:
        return JudgedCandidates.of(
            union_legs(self._legs.of(settings), documents=self._first_stage.documents(settings)),
            self._documents.indices.to_numpy(),
            self._documents.dictionary.to_pylist(),
            self._judged_ids(),
            self.judgments,
            ignore_identical_ids=self.settings.judgments.ignore_identical_ids,
        )

    def _known_pair_scores(self, judged: JudgedCandidates, settings: Settings) -> NDArray[np.float32]:
        """What a variant's reranker says of the rows of a pool, float32 (n,); NaN where it was not asked yet."""
        plan = self._plan(settings.reranker)
        if plan is None:
            return np.full(judged.rows.size, np.nan, dtype=np.float32)
        return self._known_of(plan.fingerprint).scores_of(self._pairs_of(judged))

    def _gram_shares(self, judged: JudgedCandidates) -> NDArray[np.float64]:
        """Shares of grams of the rows of a pool, float64 (n,)."""
        found = self._grams.beside(self._pairs_of(judged))
        return gram_shares(judged.pool.queries, found.column("grams").combine_chunks())

    def _pairs_of(self, judged: JudgedCandidates) -> pa.Table:
        """The rows of a pool, ``query_key`` and ``chunk_hash``."""
        numbers = judged.query_of[judged.pool.queries]
        return pa.table(
            {
                "query_key": rows_at(self.queries.select(["query_key"]), numbers).column(0),
                "chunk_hash": self._chunks.at(judged.pool.chunks).column("chunk_hash"),
            }
        )

    def _judged_ids(self) -> list[list[str]]:
        """The judged ids of each query, by query number."""
        named = named_queries(self.queries, {judgment.query_id for judgment in self.judgments})
        return [named[key] for key in self.queries.column("query_key").to_pylist()]

    def _score(self, wanted: Sequence[tuple[RerankerPlan | HostedPlan, list[pa.Table]]]) -> int:
        if not wanted:
            return 0
        scored = 0
        workspace, generator = self.release.workspace, np.random.default_rng(self._seed)
        with workspace.writing(now=self._now, tidy=False):
            scoring = PairScoring(workspace, self.settings, self.queries, self._table, generator, self._spending)
            for plan, parts in wanted:
                pairs = distinct(pa.concat_tables(parts))
                scores, done = scoring.score(pairs, plan)
                self._known_of(plan.fingerprint).add(pairs, scores)
                scored += done.scored
        return scored

    def _pairs(self, settings: Settings) -> pa.Table:
        """The pairs that a variant has the reranker score, ``query_key`` and ``chunk_hash``."""
        fused = self._fused(settings)
        candidates = name_candidates(fused, self.queries, self._chunks.at(fused.column("chunk_number")))
        return rows_at(candidates.select(["query_key", "chunk_hash"]), reranked_rows(fused, settings))

    def _fused(self, settings: Settings) -> pa.Table:
        documents = self._first_stage.documents(settings)
        return fuse(self._legs.of(settings), settings=settings.retrieval, documents=documents)

    def _require_legs(self, settings: Settings) -> None:
        there = self.release.settings.retrieval.legs
        missing = [leg for leg in settings.retrieval.legs if leg not in there]
        if missing:
            message = f"The release {self.release.release_id} has no {' and no '.join(missing)} leg."
            raise InputError(message, remedy=f"It has {', '.join(there)}; run `nightrank refresh` with others first.")

    def _plan(self, settings: RerankerSettings) -> RerankerPlan | HostedPlan | None:
        """The plan of a reranker with its own weight, made once: its files are read for it."""
        key = settings.model_copy(update={"weight": None, "depth": 1})
        if key not in self._plans:
            self._plans[key] = plan_reranker(key, self.settings.execution, base=self._base)
        return self._plans[key]

    def _known_of(self, reranker: str) -> KnownPairs:
        if reranker not in self._known:
            self._known[reranker] = KnownPairs(self.queries, self._first_stage.texts)
        return self._known[reranker]


def _weight(plan: RerankerPlan | HostedPlan | None, settings: Settings) -> float:
    if plan is None:
        return 0.0
    return plan.weight if settings.reranker.weight is None else settings.reranker.weight


def _require_same_stores(release: StoredRelease, settings: Settings, *, base: Path) -> None:
    plan = plan_embedder(settings.embedder, settings.execution, base=base)
    now = {
        "embedder": plan.fingerprint,
        "chunking": chunking_fingerprint(settings.chunking, plan),
        "analysis": Analyser.of(settings.bm25).fingerprint(),
        "sparse": _sparse_fingerprint(settings, release, base=base),
    }
    made_with = release.manifest.inputs.model_dump()
    changed = [CHANGED[name] for name, key in now.items() if made_with[name] != key]
    if runs_of(settings.retrieval).keys() != runs_of(release.settings.retrieval).keys():
        changed.append("run file of a leg")
    if changed:
        message = f"The release {release.release_id} was made with another {' and another '.join(changed)}."
        raise InputError(message, remedy="Run `nightrank refresh` first, or use the settings of the release.")


def _sparse_fingerprint(settings: Settings, release: StoredRelease, *, base: Path) -> str:
    """That of the encoder that settings ask for; without such a leg of theirs any one of a release will do."""
    plan = planned_sparse(settings, base=base)
    return release.manifest.inputs.sparse if plan is None else plan.fingerprint
