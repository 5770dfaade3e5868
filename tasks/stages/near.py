"""The stage of near answers: who says the same as whom, how wrong such answers are, and what they add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.atomic import write_text
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.release.compare import ranking_in
from nightrank.storage.release.near_record import NearRecord
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.release.results.near import write_near_tables
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.calibrate import Judged, calibrate, drawn_pairs, held_out_pairs
from nightrank.tasks.near.coverage import near_coverage
from nightrank.tasks.near.facts import NearFacts
from nightrank.tasks.near.find import Move, term_key
from nightrank.tasks.near.known import KnownQueries, KnownQuery
from nightrank.tasks.near.planted import planted_pairs
from nightrank.tasks.near.pool import KnownPools
from nightrank.tasks.near.pool_calibrate import SIMILARITIES, calibrate_pool, pool_answers
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.read.account import Account
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from nightrank.storage.release.files import Bm25Leg, Queries
    from nightrank.storage.release.near_record import NearMove
    from nightrank.tasks.near.pool_calibrate import PoolAnswer
    from nightrank.tasks.near.reading import QueryReader
    from nightrank.tasks.night import Night
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.settings.near import NearSettings
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.stages.publish import ResultsWritten
    from nightrank.tasks.stages.read import InputsRead
    from nightrank.tasks.stages.rerank import Reranked
    from nightrank.tasks.stages.retrieve import QueriesEmbedded

RANKINGS_HELD = 100_000


@dataclass(frozen=True, slots=True)
class NearMeasured:
    """Near answers of a release.

    Attributes:
        record: What they may lose, and what they add; None where they are off.
    """

    record: NearRecord | None


@stage_task("near")
def answer_near(
    night: Night,
    inputs: InputsRead,
    asked: Queries,
    index: Index,
    answered: Answered,
    *,
    learned: LearnedOrder | None,
) -> NearMeasured:
    """Hold known queries out, measure what near answers lose, and add the tables of those that are on to the results.

    Args:
        night: The run.
        inputs: What was read.
        asked: The chosen queries.
        index: What queries meet.
        answered: What the queries were answered with; nobody reads it yet.
        learned: The learned order; None where plain weights order.
    """
    settings = night.settings.near
    if not settings.is_on:
        return NearMeasured(None)
    same_answer, same_pool = "same_answer" in settings.tiers, "same_pool" in settings.tiers
    tests = len(Move) * same_answer + len(SIMILARITIES) * same_pool
    with Bm25Store.open(index.statistics.path) as store, ResultsFile(answered.results.results.path) as results:
        facts = NearFacts.of(Analyser.of(night.settings.bm25), store.common_languages())
        read, terms = facts.reader(), {term_key(term) for term in store.terms().to_pylist()}
        how = _Reading(read, terms, _rankings(results), night.settings.gates.rbo_p, 1.0 - settings.max_lost_overlap)
        known = KnownQueries(_known_queries(asked), **how._asdict())
        every = held_out_pairs(known, read)
        measuring = _Measuring(how.ranking, known.overlap, _judged(night, asked), settings, tests)
        moves: dict[Move, NearMove] = {}
        if same_answer:
            pairs = drawn_pairs(every, seed=settings.seed, most=settings.held_out)
            pairs[Move.SPELLING] = planted_pairs(known, read, seed=settings.seed, most=settings.held_out)
            moves = calibrate(pairs, **measuring._asdict())
        measured = [*moves.values()]
        if same_pool:
            passed = {pair.query_key for of in every.values() for pair in of} if moves else set[str]()
            answers = _pool_answers(night, asked, index, answered, store=store, passed=passed, learned=learned)
            measured.append(calibrate_pool(answers, **measuring._asdict()))
        on = [move for move, of in moves.items() if of.is_on]
        later = None if inputs.later_day is None else inputs.later_day.read()
        coverage = None if later is None else near_coverage(later, **how._asdict(), moves=on)
        forms = dict(known.forms()) if on else {}
    write_near_tables(
        answered.results.results.path,
        facts=facts.with_moves(moves).as_json(),
        forms=forms,
        terms=known.terms() if on else (),
        words=known.words() if Move.SPELLING in on else (),
    )
    record = NearRecord(confidence=settings.confidence, seed=settings.seed, moves=tuple(measured), coverage=coverage)
    write_text(night.files.near.path, record.model_dump_json(indent=2) + "\n")
    return NearMeasured(record)


class Answered(NamedTuple):
    """What a night has answered its queries with.

    Attributes:
        results: The search cache.
        queries: Their vectors.
        bm25: Their BM25 legs.
        reranked: Their candidates, in their final order.
    """

    results: ResultsWritten
    queries: QueriesEmbedded
    bm25: Bm25Leg
    reranked: Reranked


class _Measuring(NamedTuple):
    """What losses are measured with, as ``calibrate`` takes it."""

    ranking: Callable[[str], Sequence[str]]
    overlap: Callable[[Sequence[str], Sequence[str]], float]
    judged: Judged
    settings: NearSettings
    tests: int


def _pool_answers(
    night: Night,
    asked: Queries,
    index: Index,
    answered: Answered,
    *,
    store: Bm25Store,
    passed: AbstractSet[str],
    learned: LearnedOrder | None,
) -> list[PoolAnswer]:
    """What known queries would have got from the second tier."""
    queries = asked.read(["query_key", "text", "filter"])
    with QueryMemo(night.workspace.memo, embedder=answered.queries.memo) as memo:
        pools = KnownPools.of(queries, answered.reranked.candidates.read(["query_key", "chunk_number"]), memo)
    return pool_answers(
        pools,
        answered.bm25.read(),
        queries,
        passed=passed,
        store=store,
        table=night.open_chunks(index.vectors.table),
        weighing=Weighing.of(night.settings, learned, weight=0.0, log=answered.reranked.log or None),
        settings=night.settings,
    )


class _Reading(NamedTuple):
    """What queries are held against, as ``KnownQueries`` takes it."""

    read: QueryReader
    terms: AbstractSet[int]
    ranking: Callable[[str], Sequence[str]]
    persistence: float
    least_agreement: float


def _known_queries(asked: Queries) -> list[KnownQuery]:
    rows = asked.read(["query_key", "text", "filter", "count"])
    return [KnownQuery(*row) for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)]


def _rankings(results: ResultsFile) -> Callable[[str], Sequence[str]]:
    """The documents that a query is answered with, those of many held; none for one that is not answered."""

    @lru_cache(maxsize=RANKINGS_HELD)
    def ranking(key: str) -> Sequence[str]:
        return ranking_in(results, key) or ()

    return ranking


def _judged(night: Night, asked: Queries) -> Judged:
    judgments = judgments_of(night.settings.judgments, base=night.base, account=Account())
    ids = {judgment.query_id for judgment in judgments}
    rows = asked.read(["query_key", "query_ids"])
    by_key = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return Judged(
        judgments,
        {key: sorted(ids.intersection(of)) for key, of in by_key if not ids.isdisjoint(of)},
        night.settings.gates.measure,
        night.settings.judgments.ignore_identical_ids,
    )
