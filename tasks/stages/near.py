"""The stage of near answers: who says the same as whom, how wrong such answers are, and what they add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.atomic import write_text
from nightrank.storage.release.compare import ranking_in
from nightrank.storage.release.near_record import NearRecord
from nightrank.storage.release.near_tables import write_near_tables
from nightrank.storage.release.results_file import ResultsFile
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.calibrate import Judged, calibrate, held_out_pairs
from nightrank.tasks.near.coverage import near_coverage
from nightrank.tasks.near.facts import NearFacts
from nightrank.tasks.near.find import Move, term_key
from nightrank.tasks.near.known import KnownQueries, KnownQuery
from nightrank.tasks.read.account import Account
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from nightrank.storage.release.files import Queries
    from nightrank.tasks.near.reading import QueryReader
    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.stages.publish import ResultsWritten
    from nightrank.tasks.stages.read import InputsRead

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
    night: Night, inputs: InputsRead, asked: Queries, index: Index, written: ResultsWritten
) -> NearMeasured:
    """Hold known queries out, measure what near answers lose, and add the tables of those that are on to the results.

    Args:
        night: The run.
        inputs: What was read.
        asked: The chosen queries.
        index: What queries meet.
        written: The search cache, which nobody reads yet.
    """
    settings = night.settings.near
    if not settings.is_on:
        return NearMeasured(None)
    with Bm25Store.open(index.statistics.path) as store:
        facts = NearFacts.of(Analyser.of(night.settings.bm25), store.common_languages())
        terms = {term_key(term) for term in store.terms().to_pylist()}
    read = facts.reader()
    with ResultsFile(written.results.path) as results:
        how = _Reading(read, terms, _rankings(results), night.settings.gates.rbo_p, 1.0 - settings.max_lost_overlap)
        known = KnownQueries(_known_queries(asked), **how._asdict())
        pairs = held_out_pairs(known, read, seed=settings.seed, most=settings.held_out)
        moves = calibrate(
            pairs, ranking=how.ranking, overlap=known.overlap, judged=_judged(night, asked), settings=settings
        )
        on = [move for move in Move if moves[move].is_on]
        later = None if inputs.later_day is None else inputs.later_day.read()
        coverage = None if later is None else near_coverage(later, **how._asdict(), moves=on)
        forms = dict(known.forms()) if on else {}
    write_near_tables(
        written.results.path,
        facts=facts.with_moves(moves).as_json(),
        forms=forms,
        terms=known.terms() if on else (),
        words=known.words() if Move.SPELLING in on else (),
    )
    record = NearRecord(
        confidence=settings.confidence, seed=settings.seed, moves=tuple(moves.values()), coverage=coverage
    )
    write_text(night.files.near.path, record.model_dump_json(indent=2) + "\n")
    return NearMeasured(record)


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
