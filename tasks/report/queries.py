"""Wins and losses query by query: which queries the report shows, with both rankings and the grades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nightrank.storage.serving.cache import Result, SnippetPart
    from nightrank.tasks.report.release import ReleaseRead
    from nightrank.tasks.report.sections import Loss

SHOWN = 20  # queries of each kind: lost most, won most, worst of all
EQUAL = 1e-9

Outcome = Literal["win", "loss", "tie", "new"]


class Ranked(NamedTuple):
    """A result in one of two rankings.

    Attributes:
        grade: Of the judgment; None where the document is not judged, or judged not relevant.
        other_rank: Its rank in the other release; None where it is not there.
        snippet: What of its text is shown, highlighted or not.
    """

    rank: int
    document_id: str
    title: str
    grade: int | None
    other_rank: int | None
    snippet: tuple[SnippetPart, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """A judged query, what it was worth before and now, and both rankings.

    Attributes:
        before: None where the release before did not measure it.
        text: None where the query is not among those that the release answers.
        missed: Relevant documents that are not among the results, and where they went.
    """

    query_id: str
    text: str | None
    outcome: Outcome
    before: float | None
    after: float
    ranking: tuple[Ranked, ...]
    ranking_before: tuple[Ranked, ...]
    missed: tuple[Loss, ...]

    @property
    def difference(self) -> float:
        """Now less before; 0 where there is no before."""
        return 0.0 if self.before is None else self.after - self.before


@dataclass(frozen=True, slots=True)
class Stories:
    """The queries that the report shows, and how many there are of each outcome.

    Attributes:
        measured_again: Whether what a query was worth before is by today's judgments.
    """

    shown: tuple[Story, ...]
    judged: int
    outcomes: Mapping[Outcome, int]
    measured_again: bool


def outcome_of(before: float | None, after: float) -> Outcome:
    """What became of a query.

    >>> outcome_of(0.5, 0.25), outcome_of(0.5, 0.5), outcome_of(-1.0, 0.0), outcome_of(None, 0.5)
    ('loss', 'tie', 'win', 'new')
    """
    if before is None:
        return "new"
    if abs(after - before) <= EQUAL:
        return "tie"
    return "win" if after > before else "loss"


def choose_queries(before: Mapping[str, float], after: Mapping[str, float], *, count: int = SHOWN) -> list[str]:
    """The ids of the queries that lost most, then of those that won most, then of the worst of all, each once.

    Args:
        before: The measure by query, in the release before; it may lack some.
        after: The measure by query, now.
        count: Of each kind.

    >>> choose_queries({"a": 0.5, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 1.0, "c": 1.0, "d": -0.5}, count=1)
    ['a', 'b', 'd']
    """
    differences = {query_id: value - before[query_id] for query_id, value in after.items() if query_id in before}
    fallen = sorted((query_id for query_id in differences if differences[query_id] < -EQUAL), key=_by(differences))
    risen = sorted((query_id for query_id in differences if differences[query_id] > EQUAL), key=_by(differences, -1))
    worst = sorted(after, key=_by(after))
    return list(dict.fromkeys([*fallen[:count], *risen[:count], *worst[:count]]))


def query_stories(
    release: ReleaseRead, previous: ReleaseRead | None, losses: Sequence[Loss], *, measure: str
) -> Stories:
    """The stories of a release's judged queries.

    Args:
        release: The release.
        previous: The one before; None for a first one.
        losses: Where every relevant document went; grades come from here.
        measure: By which queries are compared.
    """
    after = release.values(measure)
    before = {} if previous is None else release.values_before(previous, measure)
    chosen = choose_queries(before, after)
    queries = release.report_queries(chosen)
    asked = [queries[query_id] for query_id in chosen if query_id in queries]
    now = release.rankings(asked)
    then = {} if previous is None else previous.rankings(asked)
    by_query: dict[str, list[Loss]] = {}
    for loss in losses:
        by_query.setdefault(loss.query_id, []).append(loss)

    def story(query_id: str) -> Story:
        query, relevant = queries.get(query_id), by_query.get(query_id, [])
        grades = {loss.document_id: loss.grade for loss in relevant}
        ranking, ranking_before = (() if query is None else found.get(query, ()) for found in (now, then))
        return Story(
            query_id=query_id,
            text=None if query is None else query.shown,
            outcome=outcome_of(before.get(query_id), after[query_id]),
            before=before.get(query_id),
            after=after[query_id],
            ranking=_ranked(ranking, ranking_before, grades),
            ranking_before=_ranked(ranking_before, ranking, grades),
            missed=tuple(loss for loss in relevant if loss.result_rank is None),
        )

    outcomes: dict[Outcome, int] = {"win": 0, "loss": 0, "tie": 0, "new": 0}
    for query_id, value in after.items():
        outcomes[outcome_of(before.get(query_id), value)] += 1
    return Stories(tuple(map(story, chosen)), len(after), outcomes, measured_again=release.measured_again)


def _ranked(results: Sequence[Result], others: Sequence[Result], grades: Mapping[str, int]) -> tuple[Ranked, ...]:
    other_ranks: dict[str, int] = {}
    for other in others:
        other_ranks.setdefault(other.document_id, other.rank)
    return tuple(
        Ranked(
            rank=result.rank,
            document_id=result.document_id,
            title=result.title,
            grade=grades.get(result.document_id),
            other_rank=other_ranks.get(result.document_id),
            snippet=result.snippet_parts(),
        )
        for result in results
    )


def _by(values: Mapping[str, float], sign: int = 1) -> Callable[[str], tuple[float, str]]:
    return lambda query_id: (sign * values[query_id], query_id)
